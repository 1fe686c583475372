package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// childEnv tells the test binary to be a child of a test: "role path".
const childEnv = "FADO_SQLITE_TEST_CHILD"

// child returns this test binary, to be run as a child with a role.
func child(t *testing.T, binary, role, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+role+" "+path)
	cmd.Stderr = t.Output()
	return cmd
}

// TestChild is what child processes run.
func TestChild(t *testing.T) {
	role, path, ok := strings.Cut(os.Getenv(childEnv), " ")
	if !ok {
		t.Skip("for child processes only")
	}
	switch role {
	case "write":
		writeForever(t, path)
	case "rotate":
		rotateForever(t, path)
	case "open":
		_, err := Open(ctx, Options{Path: path})
		fmt.Printf("unavailable=%t error=%q\n", errors.Is(err, state.ErrUnavailable), fmt.Sprint(err))
	}
}

// writeForever makes changes of every kind, and tells each once it was acknowledged.
func writeForever(t *testing.T, path string) { //nolint:thelper // the whole of a process: a failure is to point into it
	s := openAt(t, path)
	seq, err := s.ChangeLog().Seq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for n := int(seq); ; n++ {
		name := strconv.Itoa(n)
		_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
			return errors.Join(
				tx.Put(state.Record{Kind: catalog.KindBucket, Name: name, Body: []byte(name)}),
				tx.Put(state.Record{Kind: catalog.KindPolicy, Name: name, Body: []byte(name)}),
				tx.PutCopy(state.Copy{Bucket: name, Copy: catalog.Copy{Cluster: "c1"}}))
		})
		tell(t, "update", name, err)
		gens, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: name, Cluster: "c1", Size: 1}, state.Pending{Bucket: "b", Key: name, Cluster: "c2", Size: 1})
		tell(t, "add", name, err)
		_, err = s.Queue().FinishPending(ctx, state.PendingKey{Bucket: "b", Key: name, Cluster: "c2", Gen: gens[1]})
		tell(t, "finish", name, err)
		_, err = s.Catalogue().SaveCopies(ctx, state.Copy{Bucket: name, Copy: catalog.Copy{Cluster: "c1", Cursor: name}})
		tell(t, "save", name, err)
	}
}

func tell(t *testing.T, what, name string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Println(what, name); err != nil {
		t.Fatal(err)
	}
}

// TestKilled kills a writing process at random points, again and again on one file:
// what it had acknowledged is there, what it had begun is there as a whole or not.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	acked := map[string]map[string]bool{"update": {}, "add": {}, "finish": {}, "save": {}}
	for range 10 {
		runAndKill(t, path, rand.IntN(400), acked)
		s, err := Open(ctx, Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		checkAcknowledged(t, s, acked)
		closeStore(t, s)
	}
	t.Logf("%d updates and %d rows were acknowledged", len(acked["update"]), len(acked["add"]))
}

// runAndKill starts a writer, kills it after so many acknowledgements, and reads those
// that it got out until it died.
func runAndKill(t *testing.T, path string, after int, acked map[string]map[string]bool) {
	t.Helper()
	cmd := child(t, os.Args[0], "write", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		what, name, ok := strings.Cut(lines.Text(), " ")
		if !ok || acked[what] == nil {
			t.Fatalf("the child said %q", lines.Text())
		}
		acked[what][name] = true
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

func checkAcknowledged(t *testing.T, s *Store, acked map[string]map[string]bool) {
	t.Helper()
	buckets, err := s.Catalogue().List(ctx, catalog.KindBucket, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	policies, err := s.Catalogue().List(ctx, catalog.KindPolicy, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, r := range buckets {
		there[r.Name] = true
	}
	for name := range acked["update"] {
		if !there[name] {
			t.Errorf("update %s was acknowledged and is lost", name)
		}
	}
	for i := range max(len(buckets), len(policies)) {
		if i >= min(len(buckets), len(policies)) || buckets[i].Name != policies[i].Name {
			t.Fatalf("half a transaction: %d buckets, %d policies", len(buckets), len(policies))
		}
	}
	cursors := map[string]string{}
	if err := s.Catalogue().EachCopy(ctx, func(c state.Copy) error { cursors[c.Bucket] = c.Cursor; return nil }); err != nil {
		t.Fatal(err)
	}
	for name := range acked["save"] {
		if cursors[name] != name {
			t.Errorf("save %s was acknowledged and is lost", name)
		}
	}
	checkQueue(t, s, acked)
}

func checkQueue(t *testing.T, s *Store, acked map[string]map[string]bool) {
	t.Helper()
	rows := map[string]bool{}
	sums := map[string]int64{}
	if err := s.Queue().EachPending(ctx, func(p state.Pending) error {
		rows[p.Key+" "+p.Cluster] = true
		sums[p.Cluster]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name := range acked["add"] {
		if !rows[name+" c1"] {
			t.Errorf("row %s was acknowledged and is lost", name)
		}
	}
	for name := range acked["finish"] {
		if rows[name+" c2"] {
			t.Errorf("row %s was finished and is back", name)
		}
	}
	backlogs, err := s.Queue().Backlogs(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range backlogs {
		if b.Objects != sums[b.Cluster] || b.Bytes != sums[b.Cluster] {
			t.Errorf("backlog %+v, but there are %d rows", b, sums[b.Cluster])
		}
	}
}

// TestSecondProcess: a store serves one process, for as long as it lives.
func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fado.db")
	first := child(t, os.Args[0], "write", path)
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the first process does not write")
	}
	openErr(t, Options{Path: path}, state.ErrUnavailable, fmt.Sprint("in use by process ", first.Process.Pid))
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out) // what it had still said
	_ = first.Wait()                // killed
	openAt(t, path)
}

// writes are calls that change the store, each of which needs some space.
func writes(s *Store) map[string]func(i int) error {
	long := strings.Repeat("x", 900)
	return map[string]func(i int) error{
		"Update": func(i int) error {
			_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
				for j := range 20 {
					if err := tx.Put(state.Record{Kind: catalog.KindBucket, Name: fmt.Sprint("fill-", i, "-", j), Body: []byte(`"` + long + `"`)}); err != nil {
						return err
					}
				}
				return nil
			})
			return err
		},
		"AddPending": func(i int) error {
			rows := make([]state.Pending, 20)
			for j := range rows {
				rows[j] = state.Pending{Bucket: "b", Key: fmt.Sprint(i, "-", j, long), Cluster: "c1", Size: 1}
			}
			_, err := s.Queue().AddPending(ctx, rows...)
			return err
		},
		"PutMeta": func(i int) error { return s.Facts().PutMeta(ctx, fmt.Sprint("fill-", i), strings.Repeat(long, 20)) },
	}
}

// contents is all that a store holds, as text.
func contents(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	note := func(v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%+v\n", v)
	}
	note(s.ChangeLog().Seq(ctx))
	note(s.ChangeLog().Changes(ctx, 0, 0))
	note(s.Queue().Backlogs(ctx, ""))
	for _, k := range catalog.Kinds {
		note(s.Catalogue().List(ctx, k, "", 0))
	}
	note(s.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 0))
	note(nil, s.Catalogue().EachCopy(ctx, func(c state.Copy) error { note(c, nil); return nil }))
	for i := range 200 {
		note(s.Facts().GetMeta(ctx, fmt.Sprint("fill-", i)))
	}
	return b.String()
}

// fillUp writes until the space is used up, and checks that the call that failed says
// so and changed nothing, not even after the store was opened again.
func fillUp(t *testing.T, s *Store, write func(i int) error) {
	t.Helper()
	for i := range 200 {
		before := contents(t, s)
		err := write(i)
		if err == nil {
			continue
		}
		if !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), s.db.path) {
			t.Errorf("got error %v, want ErrUnavailable and the file's name", err)
		}
		if contents(t, s) != before {
			t.Error("the failed call changed the store")
		}
		return
	}
	t.Fatal("the space is never used up")
}

func TestDiskFull(t *testing.T) {
	for name := range writes(nil) {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, filepath.Join(t.TempDir(), "fado.db"))
			putCluster(t, s, "a", "b")
			limitPages(t, s, 100)
			write := writes(s)[name]
			fillUp(t, s, write)
			fillUp(t, s, write) // and again, and again
			before := contents(t, s)
			limitPages(t, s, 1<<30)
			if contents(t, s) != before {
				t.Error("the store changed by itself")
			}
			if err := write(3000); err != nil {
				t.Errorf("with space again: %v", err)
			}
		})
	}
}

// limitPages makes the disk end after so many pages.
func limitPages(t *testing.T, s *Store, n int) {
	t.Helper()
	if err := s.db.w.take(ctx); err != nil {
		t.Fatal(err)
	}
	defer s.db.w.give()
	if _, err := s.db.w.conn.ExecContext(ctx, fmt.Sprint("PRAGMA max_page_count = ", n)); err != nil {
		t.Fatal(err)
	}
}

// TestReadOnlyDirectory: nothing can be made beside the file, so it can't be used.
func TestReadOnlyDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "fado-readonly-") //nolint:usetesting // another user could not look into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700); _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "fado.db")
	closeStore(t, openAt(t, path))
	binary := filepath.Join(dir, "child")
	copyFile(t, os.Args[0], binary)
	for _, side := range []string{".lock", ".key"} {
		if err := os.Chmod(path+side, 0o644); err != nil { // not what is tested here
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(path, 0o644), os.Chmod(dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, binary, "open", path)
	cmd.Dir = dir
	unprivileged(cmd)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("can't run an unprivileged child here: %v", err)
	}
	if !strings.Contains(string(out), "unavailable=true") || !strings.Contains(string(out), "fado.db") {
		t.Errorf("opening said %s", out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Chmod(0o755), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestContextEnds: a call whose context ends while others have the writer gives up, and
// the writer is not lost to it.
func TestContextEnds(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "fado.db"))
	if err := s.db.w.take(ctx); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := s.Facts().PutMeta(short, "k", "v"); !errors.Is(err, short.Err()) || err == nil {
		t.Errorf("got error %v, want the context's", err)
	}
	s.db.w.give()
	if err := s.Facts().PutMeta(ctx, "k", "v"); err != nil {
		t.Error(err)
	}
}

// TestDurability: changes sync the log to disk when they commit, progress does not.
func TestDurability(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "fado.db"))
	level := func() (n int) {
		t.Helper()
		if err := s.db.w.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const normal, full = 1, 2
	row := state.Pending{Bucket: "b", Key: "k", Cluster: "c1"}
	for range 2 {
		if _, err := s.Queue().AddPending(ctx, row); err != nil || level() != normal {
			t.Errorf("pending rows: level %d, want %d (error %v)", level(), normal, err)
		}
		if _, err := s.Catalogue().Update(ctx, func(state.Tx) error {
			if level() != full {
				t.Errorf("change: level %d, want %d", level(), full)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if _, err := s.Queue().AddPending(ctx, row); err != nil {
			t.Error(err)
		}
		if err := s.Facts().PutMeta(ctx, "paused", "yes"); err != nil || level() != full {
			t.Errorf("meta: level %d, want %d (error %v)", level(), full, err)
		}
	}
}
