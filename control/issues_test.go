package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

func scanOf(cluster, prefix string) control.Source {
	return control.Source{Finder: control.FinderScan, Cluster: cluster, Prefix: prefix}
}

var planner = control.Source{Finder: control.FinderPlanner}

func (w *world) reason(t testing.TB, bucket string) string {
	t.Helper()
	st, err := w.Status.Bucket(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if (st.State == control.BucketStuck) != (st.Reason != "" && !strings.Contains(st.Reason, "yet to be chosen")) {
		t.Errorf("state %s for the reason %q", st.State, st.Reason)
	}
	return st.Reason
}

// Findings of each source stand beside each other, and each ends with its source.
func TestIssuesPerSource(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	w.Issues.Set("bkt", scanOf("c2", ""), control.Issue{Reason: "scan of c2"})
	w.Issues.Set("bkt", scanOf("c1", "x/"), control.Issue{Reason: "scan of c1 x/"})
	w.Issues.Set("bkt", scanOf("c1", ""), control.Issue{Reason: "scan of c1"})
	w.Issues.Set("bkt", planner, control.Issue{Reason: "nowhere to go"})
	if got := w.reason(t, "bkt"); got != "nowhere to go; scan of c1; scan of c1 x/; scan of c2" {
		t.Errorf("stuck because: %s", got)
	}
	w.Issues.Set("bkt", scanOf("c1", ""), control.Issue{})
	w.Issues.Keep("bkt", func(s control.Source) bool { return s.Cluster != "c2" })
	if got := w.reason(t, "bkt"); got != "nowhere to go; scan of c1 x/" {
		t.Errorf("stuck because: %s", got)
	}
	w.Issues.Set("bkt", planner, control.Issue{})
	w.Issues.Keep("bkt", func(control.Source) bool { return false })
	w.Issues.Keep("unknown", func(control.Source) bool { return false })
	if stuck, _ := w.Status.Troubles(t.Context()); stuck.Buckets != 0 || len(w.Issues.List(10)) != 0 {
		t.Errorf("%d buckets are stuck when all is over", stuck.Buckets)
	}
}

// An issue is an event when it comes up or changes, not each time it is found again.
func TestIssuesAreEventsOnce(t *testing.T) {
	w := newWorld(t)
	sub := w.Events().Subscribe(10, control.EventBucketStuck)
	defer sub.Close()
	for _, reason := range []string{"one", "one", "two", "", ""} {
		w.Issues.Set("bkt", planner, control.Issue{Reason: reason})
	}
	if n := len(sub.C); n != 2 {
		t.Fatalf("%d events, want 2", n)
	}
	if ev := <-sub.C; ev.Bucket != "bkt" || ev.Reason != "one" {
		t.Errorf("the first one is %+v", ev)
	}
}

// What the planner's issue tells of a rule's shortfall is not told again by the status.
func TestAShortfallIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Policy{Name: "eu-five", Copies: catalog.Copies{N: 5}, Zones: []string{"eu"}})
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-five", Prefixes: []catalog.PrefixRule{{Prefix: "x/", Policy: "eu-five"}}})
	short := w.reason(t, "bkt")
	if short == "" || strings.Contains(short, "; ") {
		t.Fatalf("two rules with the same shortfall: %q", short)
	}
	w.Issues.Set("bkt", planner, control.Issue{Reason: "the disk is on fire; " + short, Short: []string{short}})
	if got := w.reason(t, "bkt"); got != "the disk is on fire; "+short {
		t.Errorf("told: %s", got)
	}
	w.Issues.Set("bkt", planner, control.Issue{Reason: "the disk is on fire"})
	if got := w.reason(t, "bkt"); got != "the disk is on fire; "+short {
		t.Errorf("told: %s", got)
	}
	w.Issues.Set("bkt", planner, control.Issue{})
	w.Issues.SetElsewhere(map[string][]control.Issue{"bkt": {{Reason: "another instance says: " + short, Short: []string{short}}}})
	if got := w.reason(t, "bkt"); got != "another instance says: "+short {
		t.Errorf("told: %s", got)
	}
}

// Issues change hands with the buckets: what another instance looks after is forgotten
// here, and what it found is told.
func TestIssuesChangeHands(t *testing.T) {
	w := newWorld(t)
	for n := range 5 {
		w.Issues.Set(fmt.Sprint("b", n), planner, control.Issue{Reason: "r"})
	}
	if got := w.Issues.List(3); len(got) != 3 {
		t.Errorf("%d of at most 3 buckets are listed", len(got))
	}
	w.Issues.Forget(func(b string) bool { return b < "b3" })
	w.Issues.SetElsewhere(map[string][]control.Issue{"a": {{Reason: "found elsewhere"}}})
	if stuck, _ := w.Status.Troubles(t.Context()); stuck != (control.InTrouble{Buckets: 3, Bucket: "a", Reason: "found elsewhere"}) {
		t.Errorf("stuck: %+v", stuck)
	}
	w.Issues.SetElsewhere(nil)
	if stuck, _ := w.Status.Troubles(t.Context()); stuck.Buckets != 2 || stuck.Bucket != "b3" || len(w.Issues.List(10)) != 2 {
		t.Errorf("stuck: %+v", stuck)
	}
}

// worldOfDown has a bucket whose copy's storage, c2, is down.
func worldOfDown(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	w.setCopies(t, "bkt", state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
		state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
	w.Router().Snapshot().ClusterState("c2").SetStorage(routing.StorageDown)
	return w
}

// A storage that is down is one reason, no matter who reports it.
func TestADownStorageIsToldOnce(t *testing.T) {
	w := worldOfDown(t)
	if got := w.reason(t, "bkt"); got != "the storage of c2 is down" {
		t.Errorf("stuck because: %s", got)
	}
	w.Issues.Set("bkt", scanOf("c2", ""), control.Issue{Reason: "the storage of c2 is down: listing buckets: no answer"})
	if got := w.reason(t, "bkt"); got != "the storage of c2 is down: listing buckets: no answer" {
		t.Errorf("stuck because: %s", got)
	}
	// What another copy waits for does not say it of the copy there, and does not hide it.
	w.Issues.Set("bkt", scanOf("c2", ""), control.Issue{})
	w.Issues.Set("bkt", scanOf("c1", ""), control.Issue{Reason: "to c1: the storage of c2 is down: no answer", Cluster: "c1"})
	if got := w.reason(t, "bkt"); got != "to c1: the storage of c2 is down: no answer; the storage of c2 is down" {
		t.Errorf("stuck because: %s", got)
	}
}

// Objects that wait for a storage that is down may have differed before: the reason says since when it is down.
func TestADownStorageIsDatedByItself(t *testing.T) {
	w := worldOfDown(t)
	row := state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2", Since: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Attempts: 1, Error: "no answer", Cause: state.CauseDown}
	if err := w.Pending.Add(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	down := w.Router().Snapshot().ClusterState("c2").StorageSince()
	st, err := w.Status.Bucket(t.Context(), "bkt")
	if err != nil || len(st.Reasons) != 1 || st.Reasons[0].Code != control.ReasonStorageDown || !st.Reasons[0].Since.Equal(down) {
		t.Errorf("%+v, %v, want since %v", st.Reasons, err, down)
	}
}

// A bucket imported with a primary where nothing is gets a hint, and no other one does.
func TestWrongPrimaryIsHinted(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	reason := func(inPrimary int64, verified time.Time) string {
		w.setCopies(t, "bkt",
			state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, Objects: inPrimary, VerifiedAt: verified},
			state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
		if err := w.Pending.Add(t.Context(), state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2", Hold: state.HoldConflict}); err != nil {
			t.Fatal(err)
		}
		st, err := w.Status.Bucket(t.Context(), "bkt")
		if err != nil || st.State != control.BucketConflict {
			t.Fatalf("%+v, %v", st, err)
		}
		return st.Reason
	}
	const hint = `c1, the primary, is empty, and all objects are in c2: if that is where the bucket is written, resolve them with {"winner": "c2"}`
	if got := reason(0, time.Now()); !strings.Contains(got, hint) {
		t.Errorf("an empty primary: %s", got)
	}
	for name, got := range map[string]string{"one with an object": reason(1, time.Now()), "one that was not counted": reason(0, time.Time{})} {
		if strings.Contains(got, "empty") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A bucket that is removed takes its issues along.
func TestIssuesGoWithTheBucket(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	w.Issues.Set("bkt", planner, control.Issue{Reason: "r"})
	if err := w.Resources.Delete(t.Context(), catalog.KindBucket, "bkt", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	if stuck, _ := w.Status.Troubles(t.Context()); stuck.Buckets != 0 {
		t.Error("a bucket that is gone is stuck")
	}
}

// What is pending tells of buckets that are stuck or in conflict, one with its reason.
func TestStuckByWhatIsPending(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	w.setCopies(t, "bkt", state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
		state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
	for _, c := range []struct {
		hold        state.Hold
		state, want string
	}{
		{state.HoldNone, control.BucketSyncing, "1 object on the way to c2"},
		{state.HoldConflict, control.BucketConflict, "not FaDO's"},
		{state.HoldDeletes, control.BucketStuck, "1 delete is held in c2: more than max_deletes"},
	} {
		if err := w.Pending.Add(t.Context(), state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2", Hold: c.hold}); err != nil {
			t.Fatal(err)
		}
		st, err := w.Status.Bucket(t.Context(), "bkt")
		if err != nil || st.State != c.state || !strings.Contains(st.Reason, c.want) {
			t.Errorf("with the hold %q: %s because %q, %v; want %s because %q", c.hold, st.State, st.Reason, err, c.state, c.want)
		}
		stuck, conflict := w.Status.Troubles(t.Context())
		for _, in := range []struct {
			control.InTrouble
			hold state.Hold
		}{{stuck, state.HoldDeletes}, {conflict, state.HoldConflict}} {
			if is := c.hold == in.hold; (in.Buckets == 1) != is || is && !strings.Contains(in.Reason, c.want) {
				t.Errorf("with the hold %q: %+v for %q", c.hold, in.InTrouble, in.hold)
			}
		}
	}
}

// A finder that knows since when it is so says it, also of what it finds in other words later.
func TestIssuesAreDatedByTheirFinders(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	for i, text := range []string{"c2 is full", "c2 is full still"} {
		since := time.Date(2026, 3, 4, 5, 6, i, 0, time.UTC)
		w.Issues.Set("bkt", planner, control.Issue{Reason: text, Since: since})
		if st, err := w.Status.Bucket(t.Context(), "bkt"); err != nil || !st.Reasons[0].Since.Equal(since) {
			t.Errorf("%s since %v, %v, want %v", text, st.Reasons, err, since)
		}
	}
}

// What an issue is about, and where, is among the reasons, by whichever instance it was found.
func TestIssuesSayWhatTheyAreAbout(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	hidden := control.Issue{Reason: "versions are nowhere else", Code: control.ReasonHiddenHistory, Cluster: "c2"}
	w.Issues.SetElsewhere(map[string][]control.Issue{"bkt": {hidden}})
	w.Issues.Set("bkt", planner, control.Issue{Reason: "nowhere to go"})
	st, err := w.Status.Bucket(t.Context(), "bkt")
	before := time.Now()
	later := control.Issue{Reason: "nowhere to go still"}
	w.Issues.Set("bkt", planner, later) // another text of what was found keeps its moment
	st2, err2 := w.Status.Bucket(t.Context(), "bkt")
	if err2 != nil || !st2.Reasons[0].Since.Equal(st.Reasons[0].Since) || st.Reasons[0].Since.After(before) || st.Reasons[0].Since.IsZero() {
		t.Errorf("since %v, then %v, %v", st.Reasons[0].Since, st2.Reasons[0].Since, err2)
	}
	w.Issues.Set("bkt", planner, control.Issue{Reason: "nowhere to go"})
	want := []control.Reason{
		{Code: control.ReasonFound, Text: "nowhere to go", Since: st.Reasons[0].Since},
		{Code: control.ReasonHiddenHistory, Text: hidden.Reason, Cluster: "c2", Since: st.Reasons[1].Since}, // dated by this instance
	}
	if err != nil || !slices.Equal(st.Reasons, want) {
		t.Errorf("the reasons are %v, %v, want %v", st.Reasons, err, want)
	}
	_, err = w.Status.Judge(t.Context(), func(j control.Judged) {
		reasons := j.Reasons()
		if !slices.Equal(reasons, want) {
			t.Errorf("from memory the reasons are %v", reasons)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
