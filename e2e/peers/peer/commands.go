package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/grafana/dskit/ring"

	"pyroscope-operator.test/e2e/peers/talk"
)

// commands returns what a test may ask for:
//
//	register ID TOKEN...  adds an ACTIVE instance to the ring
//	add PREFIX N          adds N instances, each with an update of its own
//	touch ID N            moves the time of an instance on by a second, N times
//	remove ID             removes an instance
//	join ADDRESS          joins another cluster
func commands(n *node) map[string]talk.Command {
	return map[string]talk.Command{
		"register": n.register,
		"add":      n.add,
		"touch":    n.touch,
		"remove":   n.remove,
		"join":     n.join,
	}
}

func (n *node) register(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("register needs an id")
	}
	tokens := make([]uint32, 0, len(args)-1)
	for _, arg := range args[1:] {
		token, err := strconv.ParseUint(arg, 10, 32)
		if err != nil {
			return fmt.Errorf("token %q: %w", arg, err)
		}
		tokens = append(tokens, uint32(token))
	}
	return n.addInstance(args[0], tokens)
}

// add gives instance i the tokens 2i and 2i+1.
func (n *node) add(args []string) error {
	if err := talk.Exactly(2, args); err != nil {
		return err
	}
	count, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return fmt.Errorf("count %q: %w", args[1], err)
	}
	for i := range uint32(count) {
		if err := n.addInstance(fmt.Sprintf("%s-%d", args[0], i), []uint32{2 * i, 2*i + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) addInstance(id string, tokens []uint32) error {
	return n.edit(func(desc *ring.Desc) error {
		var none time.Time
		desc.AddIngester(id, id+":4040", "", tokens, ring.ACTIVE, time.Now(), false, none, nil)
		return nil
	})
}

func (n *node) touch(args []string) error {
	if err := talk.Exactly(2, args); err != nil {
		return err
	}
	count, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return fmt.Errorf("count %q: %w", args[1], err)
	}
	for range count {
		err := n.edit(func(desc *ring.Desc) error {
			touched, ok := desc.Ingesters[args[0]]
			if !ok {
				return fmt.Errorf("no instance %q", args[0])
			}
			touched.Timestamp++
			touched.Addr = fmt.Sprintf("go:%d", touched.Timestamp)
			desc.Ingesters[args[0]] = touched
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *node) remove(args []string) error {
	if err := talk.Exactly(1, args); err != nil {
		return err
	}
	return n.edit(func(desc *ring.Desc) error {
		desc.RemoveIngester(args[0])
		return nil
	})
}

func (n *node) edit(change func(*ring.Desc) error) error {
	return n.kv.CAS(context.Background(), keyPrefix+ringKey, ring.GetCodec(), func(in any) (any, bool, error) {
		desc := ring.GetOrCreateRingDesc(in)
		if err := change(desc); err != nil {
			return nil, false, err
		}
		return desc, true, nil
	})
}

func (n *node) join(args []string) error {
	_, err := n.kv.JoinMembers(args)
	return err
}
