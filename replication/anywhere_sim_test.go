package replication

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// written is one write or delete that a storage acknowledged to a user.
type written struct {
	cluster, key, id string
	body             string // "" of a delete
}

// anywhereSim drives users on three MinIOs at once, while these, the way to them and FaDO
// itself fail and come back.
type anywhereSim struct {
	*world
	rnd     *rand.Rand
	names   []string
	servers map[string]*testenv.Server
	proxies map[string]*testenv.Proxy
	acked   []written
	paused  map[string]bool
	cut     map[string]bool
	checked int // times that all hits were checked
}

// anywhereKeys is how many keys users write.
const anywhereKeys = 6

func newAnywhereSim(t *testing.T, seed uint64) *anywhereSim {
	t.Helper()
	s := &anywhereSim{
		rnd: rand.New(rand.NewPCG(seed, 1)), names: []string{"c1", "c2", "c3"},
		servers: make(map[string]*testenv.Server), proxies: make(map[string]*testenv.Proxy),
		paused: make(map[string]bool), cut: make(map[string]bool),
	}
	s.world = newWorld(t, Settings{}, nil)
	for _, c := range s.names {
		s.servers[c] = testenv.MinIO(t)
		s.proxies[c] = testenv.StartProxy(t, s.servers[c].Endpoint)
		s.clusterAt(c, s.servers[c], s.proxies[c].Endpoint())
	}
	s.anywherePolicy("all", s.names...)
	s.bucket("bkt", "all", "c1")
	s.awaitOK("bkt", s.names...)
	return s
}

func (s *anywhereSim) step(i int) {
	c := s.names[s.rnd.IntN(3)]
	key := fmt.Sprintf("k%d", s.rnd.IntN(anywhereKeys))
	switch n := s.rnd.IntN(100); {
	case n < 55:
		s.write(c, key, fmt.Sprintf("%s by %s, %d", key, c, i))
	case n < 75:
		s.remove(c, key)
	case n < 81:
		s.pause(c, !s.paused[c])
	case n < 88:
		s.partition(c, !s.cut[c])
	case n < 91:
		s.crash(c)
	case n < 94:
		s.eng.Stop()
		s.eng.Start(Settings{})
	default: // a moment for replication to get in between
		time.Sleep(time.Duration(s.rnd.IntN(120)) * time.Millisecond)
	}
}

// write puts an object as a user does, now and then one whose storage's clock is hours off.
func (s *anywhereSim) write(c, key, body string) {
	if s.paused[c] {
		return
	}
	o := minio.PutObjectOptions{DisableMultipart: true}
	if s.rnd.IntN(6) == 0 {
		o.Internal.SourceMTime = time.Now().Add(time.Duration(s.rnd.IntN(9)-4) * time.Hour).UTC().Truncate(time.Millisecond)
	}
	info, err := s.apis[c].PutObject(context.Background(), s.prefix+"bkt", key, strings.NewReader(body), int64(len(body)), o)
	if err == nil {
		s.acked = append(s.acked, written{c, key, info.VersionID, body})
	}
}

// remove deletes as a user does: the answer names the marker.
func (s *anywhereSim) remove(c, key string) {
	if s.paused[c] {
		return
	}
	objects := make(chan minio.ObjectInfo, 1)
	objects <- minio.ObjectInfo{Key: key}
	close(objects)
	for r := range s.apis[c].RemoveObjectsWithResult(context.Background(), s.prefix+"bkt", objects, minio.RemoveObjectsOptions{}) {
		// MinIO names a marker that it does not make where there is nothing to delete.
		if r.Err == nil && s.holds(c, key, r.DeleteMarkerVersionID) {
			s.acked = append(s.acked, written{c, key, r.DeleteMarkerVersionID, ""})
		}
	}
}

func (s *anywhereSim) holds(c, key, id string) (found bool) {
	for o := range s.apis[c].ListObjects(context.Background(), s.prefix+"bkt", minio.ListObjectsOptions{Prefix: key, WithVersions: true}) {
		s.must(o.Err)
		found = found || o.Key == key && o.VersionID == id
	}
	return found
}

func (s *anywhereSim) pause(c string, on bool) {
	if s.paused[c] = on; on {
		s.servers[c].Pause()
	} else {
		s.servers[c].Resume()
	}
}

func (s *anywhereSim) partition(c string, on bool) {
	s.cut[c] = on
	s.must(s.proxies[c].Refuse(on))
}

func (s *anywhereSim) crash(c string) {
	if !s.paused[c] {
		s.servers[c].Kill()
		s.must(s.servers[c].Restart(context.Background()))
	}
}

func (s *anywhereSim) heal() {
	for _, c := range s.names {
		s.pause(c, false)
		s.partition(c, false)
	}
}

// listedVersion is what the listing of versions says of an acknowledged write.
type listedVersion struct {
	minio.ObjectInfo
	body string
}

// history lists every version at every cluster.
func (s *anywhereSim) history() map[string][]minio.ObjectInfo {
	all := make(map[string][]minio.ObjectInfo)
	for _, c := range s.names {
		for o := range s.apis[c].ListObjects(context.Background(), s.prefix+"bkt", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			s.must(o.Err)
			all[c] = append(all[c], o)
		}
	}
	return all
}

// winners says what every key must show by what users were told, found without asking the
// code under test: the latest write, to the millisecond of the storage that took it; in one
// millisecond content before deletes, then by ETag.
func (s *anywhereSim) winners(history map[string][]minio.ObjectInfo) map[string]string {
	best := make(map[string]listedVersion)
	for _, a := range s.acked {
		i := slices.IndexFunc(history[a.cluster], func(o minio.ObjectInfo) bool { return o.Key == a.key && o.VersionID == a.id })
		if i < 0 {
			s.Errorf("%+v is not where it was written any more", a)
			continue
		}
		v := listedVersion{history[a.cluster][i], a.body}
		if b, ok := best[a.key]; !ok || laterWrite(b, v) < 0 {
			best[a.key] = v
		}
	}
	show := make(map[string]string)
	for key, v := range best {
		if v.body != "" {
			show[key] = v.body
		}
	}
	return show
}

func laterWrite(a, b listedVersion) int {
	content := func(v listedVersion) int { return min(len(v.body), 1) }
	return cmp.Or(a.LastModified.Truncate(time.Millisecond).Compare(b.LastModified.Truncate(time.Millisecond)),
		content(a)-content(b), cmp.Compare(a.ETag, b.ETag))
}

// shown is what users see in a cluster.
func (s *anywhereSim) shown(c string) map[string]string {
	m := make(map[string]string)
	for key := range s.contents(c, "bkt") {
		if body, ok := s.get(c, "bkt", key); ok {
			m[key] = body
		}
	}
	return m
}

// check heals everything and waits until all clusters show the last writes.
func (s *anywhereSim) check() {
	s.Helper()
	s.heal()
	s.must(s.eng.SyncBucket(context.Background(), "bkt"))
	want := s.winners(s.history())
	s.await("convergence", func() bool {
		for _, c := range s.names {
			if !mapsEqual(s.shown(c), want) {
				return false
			}
		}
		return len(s.pending(state.PendingFilter{Bucket: "bkt"})) == 0
	})
	// Nothing more comes of looking at everything again.
	s.must(s.eng.SyncBucket(context.Background(), "bkt"))
	s.awaitIdle("bkt")
	for _, c := range s.names {
		if got := s.shown(c); !mapsEqual(got, want) {
			s.Errorf("%s shows %v, want %v", c, got, want)
		}
	}
	for _, a := range s.acked {
		if a.body != "" && s.getVersion(a.cluster, "bkt", a.key, a.id) != a.body {
			s.Errorf("%+v can't be read any more", a)
		}
	}
}

// TestAnywhereConverges: whatever users write and delete at whichever storage, and whatever
// fails meanwhile, all storages come to show the same, which is what was written last;
// every acknowledged version can be read where it was written; what was deleted last stays
// deleted; and all the while what counts as current is. FADO_SEED and FADO_RUNS are those of [testenv.Seeds]; runs that are asked for are
// longer.
func TestAnywhereConverges(t *testing.T) {
	t.Parallel()
	steps := 90
	if os.Getenv("FADO_RUNS") != "" {
		steps = 300
	}
	for _, seed := range testenv.Seeds(t, 1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := newAnywhereSim(t, seed)
			defer func() {
				if s.heal(); t.Failed() {
					t.Logf("%d acknowledged", len(s.acked))
				}
				t.Logf("hits were checked %d times", s.checked)
			}()
			for i := range steps {
				s.step(i)
				if i%15 == 14 { // nothing is known of storages that nobody can reach
					s.heal()
					s.await("listeners", s.couldKnow)
				}
				s.hits(i)
				if i == steps/2 {
					s.check()
				}
			}
			s.check()
		})
	}
}
