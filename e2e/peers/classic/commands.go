package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"pyroscope-operator.test/e2e/peers/talk"
)

// updateTimeout is how long new metadata may take to reach another node.
const updateTimeout = 5 * time.Second

// commands returns what a test may ask for:
//
//	join ADDRESS              joins another cluster
//	meta TEXT                 changes the metadata and announces them
//	send NAME TEXT            sends a user message by a packet
//	send-reliable NAME TEXT   sends a user message by a stream
//	broadcast TEXT            gossips a user message
//	key install|use|remove KEY, where KEY is base64
func commands(n *node) map[string]talk.Command {
	return map[string]talk.Command{
		"join":          n.join,
		"meta":          n.updateMeta,
		"send":          n.send(func(m *memberlist.Memberlist) sender { return m.SendBestEffort }),
		"send-reliable": n.send(func(m *memberlist.Memberlist) sender { return m.SendReliable }),
		"broadcast":     n.broadcast,
		"key":           n.changeKey,
	}
}

type sender func(to *memberlist.Node, message []byte) error

func (n *node) join(args []string) error {
	_, err := n.list.Join(args)
	return err
}

func (n *node) updateMeta(args []string) error {
	meta := strings.Join(args, " ")
	n.delegate.meta.Store(&meta)
	return n.list.UpdateNode(updateTimeout)
}

func (n *node) send(by func(*memberlist.Memberlist) sender) talk.Command {
	return func(args []string) error {
		if len(args) < 2 {
			return fmt.Errorf("expected a name and a text")
		}
		for _, member := range n.list.Members() {
			if member.Name == args[0] {
				return by(n.list)(member, []byte(strings.Join(args[1:], " ")))
			}
		}
		return fmt.Errorf("no member %q", args[0])
	}
}

func (n *node) broadcast(args []string) error {
	n.delegate.broadcasts.QueueBroadcast(broadcast(strings.Join(args, " ")))
	return nil
}

func (n *node) changeKey(args []string) error {
	if err := talk.Exactly(2, args); err != nil {
		return err
	}
	if n.keyring == nil {
		return fmt.Errorf("this node was started without keys")
	}
	key, err := base64.StdEncoding.DecodeString(args[1])
	if err != nil {
		return fmt.Errorf("key %q: %w", args[1], err)
	}
	switch args[0] {
	case "install":
		return n.keyring.AddKey(key)
	case "use":
		return n.keyring.UseKey(key)
	case "remove":
		return n.keyring.RemoveKey(key)
	}
	return fmt.Errorf("a key can be installed, used or removed, not %q", args[0])
}
