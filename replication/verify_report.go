package replication

import (
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/control"
)

// view returns what is shown, with an estimate of the end.
func (vn *verification) view(now time.Time) Verification {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	show := vn.show
	show.Keys = slices.Clone(show.Keys)
	if show.Keys == nil {
		show.Keys = []Mismatch{}
	}
	done, total := show.Objects, show.Total
	if show.Deep {
		done, total = show.Bytes, show.TotalBytes
	}
	if show.State == verifyRunning && show.Started != nil && done > 0 && total > 0 {
		took := float64(now.Sub(*show.Started))
		end := show.Started.Add(time.Duration(took * max(1, float64(total)/float64(done))))
		show.Estimate = &end
	}
	return show
}

func (vn *verification) deep() bool {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	return vn.show.Deep
}

// count notes objects that were compared.
func (vn *verification) count(objects, bytes int64) {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	vn.show.Objects += objects
	vn.show.Bytes += bytes
}

// passed notes objects that were compared, and that a step which is gone on with does not
// come to again.
func (vn *verification) passed(objects, bytes int64) {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	vn.show.Objects += objects
	vn.show.Bytes += bytes
	vn.at = compared{vn.show.Objects, vn.show.Bytes}
}

// reached is how many objects were compared that need not be compared again.
func (vn *verification) reached() int64 {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	return vn.at.Objects
}

// found notes a mismatch; one that is to be repaired is followed.
func (vn *verification) found(m Mismatch) {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	vn.show.Mismatches++
	switch m.State {
	case mismatchUnrepairable:
		vn.show.Unrepairable++
	case mismatchRepaired:
		vn.show.Repaired++
	default:
		if len(vn.repairs) < maxRepairs {
			vn.repairs[objectRef{vn.show.Bucket, m.Key, m.Cluster}] = true
		}
	}
	if len(vn.show.Keys) < maxMismatches {
		vn.show.Keys = append(vn.show.Keys, m)
	}
}

// settled notes what became of a mismatch that was to be repaired.
func (vn *verification) settled(ref objectRef, state, reason string) {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	if !vn.repairs[ref] {
		return
	}
	delete(vn.repairs, ref)
	if state == mismatchRepaired {
		vn.show.Repaired++
	} else {
		vn.show.Unrepairable++
	}
	for i := range vn.show.Keys {
		if m := &vn.show.Keys[i]; m.Key == ref.key && m.Cluster == ref.cluster && m.State == mismatchRepairing {
			if m.State = state; reason != "" {
				m.Reason += "; " + reason
			}
		}
	}
}

// open lists the mismatches whose repair is still to be seen.
func (vn *verification) open() []objectRef {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	refs := make([]objectRef, 0, len(vn.repairs))
	for ref := range vn.repairs {
		refs = append(refs, ref)
	}
	return refs
}

// damage says what could not be repaired, "" if nothing. The caller holds mu.
func (vn *verification) damage() string {
	if vn.show.Unrepairable == 0 {
		return ""
	}
	for _, m := range vn.show.Keys {
		if m.State == mismatchUnrepairable {
			return fmt.Sprintf("verification found %s that could not be repaired, one of them %q in %s: %s",
				control.Count(vn.show.Unrepairable, "object"), m.Key, m.Cluster, m.Reason)
		}
	}
	return fmt.Sprintf("verification found %s that could not be repaired", control.Count(vn.show.Unrepairable, "object"))
}

// tellEvery is how often watchers are told of progress.
const tellEvery = time.Second

// tell sends an event about the progress, not too often unless it must be.
func (vn *verification) tell(bus *control.Bus, now time.Time, must bool) {
	vn.mu.Lock()
	if !must && now.Sub(vn.told) < tellEvery {
		vn.mu.Unlock()
		return
	}
	vn.told = now
	show := vn.show
	vn.mu.Unlock()
	reason := show.Error
	if reason == "" && show.Mismatches > 0 {
		reason = fmt.Sprintf("%d mismatches, %d repaired, %d unrepairable", show.Mismatches, show.Repaired, show.Unrepairable)
	}
	bus.Emit(control.Event{
		Type: control.EventVerification, Bucket: show.Bucket, State: show.State, Reason: reason,
		Objects: show.Objects, Total: show.Total, Bytes: show.Bytes,
	})
}
