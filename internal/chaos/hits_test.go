package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// checker checks promise 3 while everything else goes on: a copy that counts as current for a
// key has the content and the metadata that the primary has, as far as FaDO could know it.
//
// What looks stale is looked at again, after FaDO brought a mark to that copy that was written at
// the primary since: the events of what came before the mark were told by then, or missed with
// a sign. Other instances follow what one of them was told within a second; see staleFor.
type checker struct {
	*world
	ws     *writers
	rng    *rand.Rand
	cancel context.CancelFunc
	wg     sync.WaitGroup
	hits   int // that were checked
	marks  int
}

const (
	// marksDir has what is written to be told of.
	marksDir = "mark/"
	// staleFor is how long a copy has to be a wrong hit: several times what an instance may
	// take to follow another one.
	staleFor = 10 * time.Second
	// markPatience bounds the wait for a mark: what faults hold up is not asked further.
	markPatience = 20 * time.Second
)

func newChecker(w *world, ws *writers, seed uint64) *checker {
	return &checker{world: w, ws: ws, rng: rand.New(rand.NewPCG(seed, 100))}
}

// run checks hits until stop.
func (c *checker) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.wg.Go(func() {
		for ctx.Err() == nil {
			c.check(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(c.rng.IntN(50)) * time.Millisecond):
			}
		}
	})
}

func (c *checker) stop() {
	c.cancel()
	c.wg.Wait()
}

// check checks one key at one copy by one instance, while nobody writes it.
func (c *checker) check(ctx context.Context) {
	wr := c.ws.all[c.rng.IntN(len(c.ws.all))]
	at, i := c.places[1+c.rng.IntN(2)], c.fados[c.rng.IntN(len(c.fados))]
	key, want, release := wr.hold(ctx, c.rng)
	if release == nil {
		return
	}
	defer release()
	for began, again := time.Now(), 0; ; again++ {
		got, stale := c.stale(ctx, i, at, key, want)
		if !stale {
			return
		}
		if again >= 3 && (len(c.fados) == 1 || time.Since(began) > staleFor) {
			c.Errorf("%s counts as current in %s by %s, which has %.20q there; the primary has %.20q", key, at.name, i.admin, got, want)
			return
		}
		if !c.marked(ctx, at) {
			return
		}
	}
}

// stale reports whether a copy that counts as current has something else than it should.
func (c *checker) stale(ctx context.Context, i *instance, at *place, key, want string) (got string, stale bool) {
	ctx, cancel := context.WithTimeout(ctx, markPatience)
	defer cancel()
	if !i.current(ctx, at.name, key) {
		return "", false
	}
	got, err := at.object(ctx, key)
	if err != nil {
		return "", false
	}
	c.hits++
	return got, !at.same(got, want)
}

// current asks an instance whether a copy is a hit for a key; one that routes by what it knew
// when it lost its store says so, and is not asked.
func (i *instance) current(ctx context.Context, cluster, key string) bool {
	var route struct {
		Candidates []struct {
			Cluster string
			Fresh   bool
		}
	}
	var self struct{ Status string }
	if i.read(ctx, "/fado/route?bucket="+bucket+"&object="+url.QueryEscape(key), &route) != nil || i.read(ctx, "/fado/", &self) != nil {
		return false
	}
	for _, c := range route.Candidates {
		if c.Cluster == cluster {
			return c.Fresh && (len(i.fados) == 1 || self.Status == "ok")
		}
	}
	return false
}

// read reads an answer of the API, whether or not the instance runs.
func (i *instance) read(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.admin+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

// marked writes a mark at the primary, and reports whether FaDO brought it to a copy.
func (c *checker) marked(ctx context.Context, at *place) bool {
	ctx, cancel := context.WithTimeout(ctx, markPatience)
	defer cancel()
	c.marks++
	key := fmt.Sprint(marksDir, c.marks)
	if _, err := c.places[0].api.PutObject(ctx, bucket, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{}); err != nil {
		return false
	}
	for ctx.Err() == nil {
		if got, err := at.object(ctx, key); err == nil && got != "" {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
