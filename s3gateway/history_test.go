package s3gateway

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state/postgres"
)

// access is one request to a key, put, removal or read, as the history checker sees it.
type access struct {
	key   string
	write bool
	value string // written; "" removes
}

// register is the model: a read returns what the last write wrote.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := make(map[string][]porcupine.Operation)
		for _, op := range history {
			k := op.Input.(access).key
			by[k] = append(by[k], op)
		}
		var parts [][]porcupine.Operation
		for _, p := range by {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(access); in.write {
			return true, in.value
		}
		return output.(string) == state.(string), state
	},
	DescribeOperation: func(input, output any) string {
		in := input.(access)
		if in.write {
			return fmt.Sprintf("%s = %q", in.key, in.value)
		}
		return fmt.Sprintf("%s is %q", in.key, output)
	},
}

// journal is what clients did.
type journal struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	sure  int // of which the outcome is known
}

// run makes an access and notes it. A write that failed may have happened, now or later; a read
// that failed says nothing.
func (h *journal) run(client int, in access, do func() (string, error)) {
	call := time.Since(h.began).Nanoseconds()
	out, err := do()
	end := time.Since(h.began).Nanoseconds()
	if err != nil && !in.write {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		end = math.MaxInt64
	} else {
		h.sure++
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

// patient bounds one request of a client.
const patient = 2 * time.Second

// access makes a request of a client's.
func (i *instance) access(in access) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	switch {
	case in.write && in.value == "":
		return "", i.api.RemoveObject(ctx, "bkt", in.key, minio.RemoveObjectOptions{})
	case in.write:
		_, err := i.core.PutObject(ctx, "bkt", in.key, strings.NewReader(in.value), int64(len(in.value)), "", "", minio.PutObjectOptions{})
		return "", err
	}
	o, _, _, err := i.core.GetObject(ctx, "bkt", in.key, minio.GetObjectOptions{})
	if code(err) == "NoSuchKey" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	return string(b), err
}

// disturb puts faults on the way to the storages until it is stopped.
func disturb(rng *rand.Rand, proxies []*testenv.Proxy, stop <-chan struct{}) {
	for {
		p := proxies[rng.IntN(len(proxies))]
		switch rng.IntN(4) {
		case 0:
			p.Cut()
		case 1:
			p.Hang(true)
		case 2:
			p.CutAfter(testenv.Down, int64(rng.IntN(2000)))
		case 3:
			p.CutAfter(testenv.Up, int64(rng.IntN(2000)))
		}
		select {
		case <-time.After(time.Duration(rng.IntN(100)) * time.Millisecond):
		case <-stop:
			p.Heal()
			return
		}
		p.Heal()
		select {
		case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
		case <-stop:
			return
		}
	}
}

// Clients of two instances, with caches, one of which has each write in both storages before it
// answers, write, remove and read the same keys while the storages are cut, hang and come back. Whatever they see, there is an order of all requests in which each read returns
// what was written last: nobody reads what is stale, or what was lost.
//
// FADO_HISTORY=10m goes on for so long.
func TestHistoriesAreLinearizable(t *testing.T) {
	for _, seed := range testenv.Seeds(t, 1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { testHistory(t, seed) })
	}
}

func testHistory(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 11))
	w, proxies := faulty(t)
	h := &journal{began: time.Now()}
	rounds, until := 15, time.Time{}
	if v := os.Getenv("FADO_HISTORY"); v != "" {
		d, err := time.ParseDuration(v)
		w.must(err)
		rounds, until = math.MaxInt, time.Now().Add(d)
	}
	stop := make(chan struct{})
	var faults, clients sync.WaitGroup
	faults.Go(func() { disturb(rng, proxies, stop) })
	for n := range 6 {
		mine := rand.New(rand.NewPCG(seed, uint64(n)+100))
		clients.Go(func() {
			for i := 0; i < rounds && (until.IsZero() || time.Now().Before(until)); i++ {
				in := access{key: fmt.Sprint("k", mine.IntN(4), "/", i/200)}
				switch mine.IntN(8) {
				case 0:
					in.write = true
				case 1, 2, 3:
					in.write, in.value = true, fmt.Sprintf("%d by %d", i, n)
				}
				h.run(n, in, func() (string, error) { return w.all[n%2].access(in) })
			}
		})
	}
	clients.Wait()
	close(stop)
	faults.Wait()
	hits := w.all[0].counted("cache hit true") + w.all[1].counted("cache hit true")
	t.Logf("%d requests, the outcome of %d is known; %d were answered from a cache", len(h.ops), h.sure, hits)
	if h.sure < len(h.ops)/4 {
		t.Error("too few requests succeeded to show anything")
	}
	result, info := porcupine.CheckOperationsVerbose(register, h.ops, time.Minute)
	if result == porcupine.Illegal {
		file := t.ArtifactDir() + "/history.html"
		w.must(porcupine.VisualizePath(register, info, file))
		t.Errorf("no order explains what clients saw; see %s", file)
	}
	if result == porcupine.Unknown {
		t.Log("the history is too long to be judged within a minute")
	}
}

// faulty is a world of two instances whose ways to both storages can be disturbed.
func faulty(t *testing.T) (*world, []*testenv.Proxy) {
	t.Helper()
	dsn := testenv.PostgresDatabase(t)
	w := &world{prefix: fmt.Sprintf("s3g%d-%d-", os.Getpid(), worlds.Add(1))}
	for n := range 2 {
		store, err := postgres.Open(context.Background(), postgres.Options{DSN: dsn, Key: []byte("a passphrase"), Lease: 3 * time.Second, MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		w.join(t, store, func(h *Handler) {
			h.Cluster, h.WriteAck = []string{"c1", "c2"}[n], []int{ackOne, 2}[n]
			cached(1<<20, 0)(h)
		})
	}
	var proxies []*testenv.Proxy
	for n, srv := range []*testenv.Server{minioA.Server(t), minioB.Server(t)} {
		p := testenv.StartProxy(t, srv.Endpoint)
		proxies = append(proxies, p)
		w.clusterAt(fmt.Sprint("c", n+1), srv, p.Endpoint())
	}
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	return w, proxies
}
