// Package talk is how a peer speaks with the test that started it: one command
// per line on standard input, one JSON object per line on standard output.
package talk

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Member is another node as this one sees it; suspects count, the dead do not.
type Member struct {
	Address string `json:"address"`
	Meta    string `json:"meta"`
}

// Done is printed after each command.
type Done struct {
	Done  string `json:"done"`
	Error string `json:"error,omitempty"`
}

// Printer writes events from several goroutines, one per line.
type Printer struct {
	mu  sync.Mutex
	out *json.Encoder
}

// NewPrinter returns a printer to w.
func NewPrinter(w io.Writer) *Printer {
	return &Printer{out: json.NewEncoder(w)}
}

// Print writes one event.
func (p *Printer) Print(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A reader that is gone is no reason to stop gossiping.
	_ = p.out.Encode(event)
}

// Command does what a line asks for. It gets the words after the first.
type Command func(args []string) error

// Serve runs commands, one after the other, until the line "leave" or the end
// of input, and prints a Done after each.
func Serve(in io.Reader, commands map[string]Command, out *Printer) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0:
			continue
		case words[0] == "leave":
			return
		}
		done := Done{Done: words[0]}
		if err := run(commands, words); err != nil {
			done.Error = err.Error()
		}
		out.Print(done)
	}
}

func run(commands map[string]Command, words []string) error {
	command, ok := commands[words[0]]
	if !ok {
		return fmt.Errorf("unknown command %q", words[0])
	}
	return command(words[1:])
}

// Exactly returns an error unless there are n words.
func Exactly(n int, args []string) error {
	if len(args) != n {
		return fmt.Errorf("expected %d arguments, got %d", n, len(args))
	}
	return nil
}
