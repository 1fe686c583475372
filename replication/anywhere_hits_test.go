package replication

import (
	"context"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/routing"
)

// hits checks what promise 3 says where anyone writes, while everything else goes on: a
// cluster that counts as current for a key shows what was written last, as far as FaDO could
// know it. It could where every storage is listened to. No user writes meanwhile.
//
// What looks stale is looked at again after each storage has told of a later write, so that it
// has told of all that came before.
func (s *anywhereSim) hits(step int) {
	s.Helper()
	var stale []string
	for again := range 3 {
		if !s.couldKnow() {
			return
		}
		s.checked++
		if stale = s.stale(); len(stale) == 0 || !s.marked(fmt.Sprint(step, " ", again)) {
			return
		}
	}
	if s.couldKnow() {
		s.Errorf("step %d: %s\n%s", step, strings.Join(stale, "\n"), s.dump())
	}
}

// couldKnow reports whether changes at all storages are told.
func (s *anywhereSim) couldKnow() bool {
	for _, c := range s.names {
		st := s.ctl.Router().Snapshot().ClusterState(c)
		if _, open := st.Gap(); s.paused[c] || s.cut[c] || open || !st.Exact() || st.Storage() != routing.StorageUp {
			return false
		}
	}
	return true
}

// stale returns the hits that are none.
func (s *anywhereSim) stale() (faults []string) {
	all := s.history()
	want := s.winners(all)
	for i := range anywhereKeys {
		key := fmt.Sprint("k", i)
		for _, c := range s.names {
			if !s.ctl.Router().Current("bkt", key, c) {
				continue
			}
			if got, _ := s.get(c, "bkt", key); got != want[key] {
				faults = append(faults, fmt.Sprintf("%s is a hit in %s, which shows %q; last written was %q", key, c, got, want[key]), versionsOf(all[c], key))
			}
		}
	}
	return faults
}

// marked writes a mark at every storage, and waits until FaDO was told of each: it reports
// whether they were told by listeners.
func (s *anywhereSim) marked(body string) bool {
	s.Helper()
	for _, c := range s.names {
		info, err := s.apis[c].PutObject(context.Background(), s.prefix+"bkt", "mark/"+c, strings.NewReader(body), int64(len(body)),
			minio.PutObjectOptions{DisableMultipart: true})
		s.must(err)
		s.acked = append(s.acked, written{c, "mark/" + c, info.VersionID, body})
	}
	for i, c := range s.names {
		other := s.names[(i+1)%len(s.names)]
		s.await("a mark is told of", func() bool {
			got, _ := s.get(other, "bkt", "mark/"+c)
			return got == body || s.ctl.Router().Pending.Has("bkt", "mark/"+c, other)
		})
	}
	return s.couldKnow()
}

// versionsOf lists the versions of a key.
func versionsOf(all []minio.ObjectInfo, key string) string {
	var b strings.Builder
	for _, o := range all {
		if o.Key == key {
			fmt.Fprintf(&b, "\t%s %s latest %v marker %v etag %.6s\n", o.VersionID, o.LastModified.Format("15:04:05.000000000"), o.IsLatest, o.IsDeleteMarker, o.ETag)
		}
	}
	return b.String()
}
