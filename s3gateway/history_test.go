package s3gateway

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/internal/histories"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state/postgres"
)

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
// answers, write, with and without conditions, upload in parts, copy, remove, read and list the same
// keys while the storages are cut, hang and come back. Whatever they see, there is an order of all
// requests in which each read and list returns what was written last, and each condition is judged by
// that: nobody sees what is stale, or what was lost, and of two who replace the same one does.
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
	h := histories.NewJournal()
	rounds, until := 20, time.Time{}
	if v := os.Getenv("FADO_HISTORY"); v != "" {
		d, err := time.ParseDuration(v)
		w.must(err)
		rounds, until = math.MaxInt, time.Now().Add(d)
	}
	stop := make(chan struct{})
	var faults, clients sync.WaitGroup
	faults.Go(func() { disturb(rng, proxies, stop) })
	for n := range 6 {
		c := histories.Client{ID: n, At: w.all[n%2].core, Bucket: "bkt", Journal: h, Rand: rand.New(rand.NewPCG(seed, uint64(n)+100))}
		clients.Go(func() {
			for i := 0; i < rounds && (until.IsZero() || time.Now().Before(until)); i++ {
				c.Turn(context.Background(), i)
			}
		})
	}
	clients.Wait()
	close(stop)
	faults.Wait()
	t.Logf("%d reads were answered from a cache", w.all[0].counted("cache hit true")+w.all[1].counted("cache hit true"))
	h.Check(t)
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
