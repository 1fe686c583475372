package replication

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
)

// statements passes connections on to a PostgreSQL, and counts the statements that go
// through it.
type statements struct {
	mu sync.Mutex
	n  map[string]int // by their text
	wg sync.WaitGroup
}

// count starts counting; the connection string it returns is the one to use.
func (s *statements) count(t *testing.T, dsn string) string {
	t.Helper()
	at := strings.LastIndex(dsn, "@") + 1
	host := dsn[at : at+strings.Index(dsn[at:], "/")]
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.n = make(map[string]int)
	s.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(client, host) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.wg.Wait() })
	return strings.Replace(dsn, host, l.Addr().String(), 1)
}

func (s *statements) serve(client net.Conn, host string) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", host)
	if err != nil {
		return
	}
	defer server.Close()
	s.wg.Go(func() {
		defer client.Close()
		_, _ = io.Copy(client, server)
	})
	_ = s.follow(bufio.NewReader(client), server)
}

// follow passes a client's messages on, and counts those that execute a statement.
func (s *statements) follow(client *bufio.Reader, server io.Writer) error {
	const startup = 0x30000 // a message without a type
	for code := uint32(0); code>>16 != startup>>16; {
		head := make([]byte, 8)
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		code = binary.BigEndian.Uint32(head[4:])
		if err := pass(client, server, head, binary.BigEndian.Uint32(head)-8, nil); err != nil {
			return err
		}
	}
	prepared, bound := make(map[string]string), ""
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		var body bytes.Buffer
		if err := pass(client, server, head, binary.BigEndian.Uint32(head[1:])-4, &body); err != nil {
			return err
		}
		switch parts := strings.SplitN(body.String(), "\x00", 3); head[0] {
		case 'P': // parse: name, text
			prepared[parts[0]] = parts[1]
		case 'B': // bind: portal, name
			bound = prepared[parts[1]]
		case 'E': // execute
			s.note(bound)
		case 'Q': // query: text
			s.note(parts[0])
		}
	}
}

// pass passes a message on, whose body is so long.
func pass(from io.Reader, to io.Writer, head []byte, n uint32, seen *bytes.Buffer) error {
	body := make([]byte, n)
	if _, err := io.ReadFull(from, body); err != nil {
		return err
	}
	if seen != nil {
		seen.Write(body)
	}
	_, err := to.Write(append(head, body...))
	return err
}

func (s *statements) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[strings.Join(strings.Fields(text), " ")]++
}

// take returns how often each statement was executed since it was asked last, those that
// keep the lease aside.
func (s *statements) take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := maps.Clone(s.n)
	clear(s.n)
	maps.DeleteFunc(n, func(text string, _ int) bool { return strings.HasPrefix(text, "UPDATE fado.members SET lease_until") })
	return n
}

const (
	idleClusters = 50
	idleBuckets  = 10
	idleFor      = 10 * time.Second
	// idleMost is how many statements an instance may make a second while nothing happens.
	idleMost = 2
	// idleTries is how often is counted until the start has settled.
	idleTries = 10
)

// idle is a world in which nothing happens. The times are those of production.
func idle(w gatedWorld) {
	w.Helper()
	for i := range idleClusters {
		w.fake(fmt.Sprintf("c%02d", i))
	}
	w.policy("p", 2, "c01", "c02")
	for i := range idleBuckets {
		w.fakes["c01"].User(fmt.Sprint("bkt", i), "k", "x")
		w.bucket(fmt.Sprint("bkt", i), "p", "c01")
	}
	for i := range idleBuckets {
		w.awaitOK(fmt.Sprint("bkt", i), "c01", "c02")
	}
	w.await("nothing pending", func() bool { return len(w.pending(state.PendingFilter{})) == 0 })
}

// mustBeIdle counts what the takes tell of, each of one instance, for a while.
func mustBeIdle(t *testing.T, takes ...func() map[string]int) {
	t.Helper()
	for try := 1; ; try++ {
		for _, take := range takes {
			take()
		}
		time.Sleep(idleFor)
		var over []string
		for i, take := range takes {
			calls, sum := take(), 0
			for _, n := range calls {
				sum += n
			}
			if rate := float64(sum) / idleFor.Seconds(); rate > idleMost {
				over = append(over, fmt.Sprintf("instance %d makes %.1f a second:\n%s", i, rate, listed(calls)))
			}
			t.Logf("instance %d: %d in %v", i, sum, idleFor)
		}
		if len(over) == 0 {
			return
		}
		if try == idleTries {
			t.Fatalf("idle costs more than %d a second:\n%s", idleMost, strings.Join(over, "\n"))
		}
	}
}

// listed lists calls, the most frequent first.
func listed(calls map[string]int) string {
	var b strings.Builder
	for _, c := range slices.SortedFunc(maps.Keys(calls), func(a, b string) int { return calls[b] - calls[a] }) {
		fmt.Fprintf(&b, "%4d %.160s\n", calls[c], c)
	}
	return b.String()
}

// An instance with a store of its own asks it next to nothing while nothing happens.
func TestIdleCostsNothing(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	w := newGatedWorld(t, store, Settings{}, Tuning{}, nil)
	idle(w)
	mustBeIdle(t, w.gate.take)
}

// Instances that share a store ask it next to nothing while nothing happens, besides keeping
// their leases.
func TestIdleCostsNothingWhereTheStoreIsShared(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	var counted [2]statements
	var worlds [2]gatedWorld
	for i := range counted {
		store, err := postgres.Open(context.Background(), postgres.Options{DSN: counted[i].count(t, dsn), Key: []byte("a passphrase"), ConnectTimeout: time.Minute, StatementTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		worlds[i] = newGatedWorld(t, store, Settings{}, Tuning{}, worlds[0].world)
	}
	idle(worlds[0])
	mustBeIdle(t, counted[0].take, counted[1].take)
}
