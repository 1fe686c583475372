package postgres

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// quick are options with which a fault is noticed soon.
func quick(o *Options) {
	o.ConnectTimeout, o.StatementTimeout, o.Lease = 3*time.Second, 2*time.Second, 2*time.Second
}

// patient are options with which a busy machine is not taken for a fault.
func patient(o *Options) {
	o.ConnectTimeout, o.StatementTimeout, o.Lease = 30*time.Second, 30*time.Second, 5*time.Second
}

func putZone(s *Store, name string) error {
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindZone, Name: name, Body: []byte(`{}`)})
	})
	return err
}

// works waits until the store can be written again.
func works(t *testing.T, s *Store) {
	t.Helper()
	var err error
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = putZone(s, "recovered"); err == nil {
			return
		}
		if !errors.Is(err, state.ErrUnavailable) {
			t.Fatalf("got %v, want nil or an ErrUnavailable", err)
		}
	}
	t.Fatalf("the store did not recover: %v", err)
}

func unavailable(t *testing.T, s *Store, why string) {
	t.Helper()
	_, readErr := s.Catalogue().Get(ctx, catalog.KindZone, "z")
	_, claimErr := s.Queue().ClaimPending(ctx, "n", 1, time.Minute, time.Now())
	_, _, lockErr := s.Locks().TryLock(ctx, "l")
	for what, err := range map[string]error{"Update": putZone(s, "z"), "Get": readErr, "ClaimPending": claimErr, "TryLock": lockErr} {
		if !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: got %v, want an ErrUnavailable with %q", what, err, why)
		}
	}
}

// TestFaults breaks a real server in every way there is a way to, and expects clear
// errors while it lasts, and everything back by itself after.
func TestFaults(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	dsn := server.Database(t)
	admin := func(t *testing.T, sql string) {
		t.Helper()
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			_, err = conn.Exec(ctx, sql)
			conn.Close(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("absent when opened", func(t *testing.T) {
		server.Stop()
		s := openAt(t, dsn, quick)
		unavailable(t, s, "")
		ch := s.ChangeLog().Watch(t.Context())
		if err := server.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		works(t, s)
		<-ch
	})
	t.Run("restarted under load", func(t *testing.T) {
		s := openAt(t, dsn, quick)
		underLoad(t, s, func() {
			if err := server.Restart(ctx); err != nil {
				t.Error(err)
			}
		})
		works(t, s)
	})
	t.Run("killed under load", func(t *testing.T) {
		s := openAt(t, dsn, quick)
		underLoad(t, s, func() {
			server.Kill()
			if err := server.Restart(ctx); err != nil {
				t.Error(err)
			}
		})
		works(t, s)
	})
	t.Run("backends terminated", func(t *testing.T) {
		s := openAt(t, dsn, quick)
		underLoad(t, s, func() {
			for range 5 {
				admin(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fado'")
			}
		})
		works(t, s)
	})
	t.Run("stopped", func(t *testing.T) {
		s := openAt(t, dsn, quick)
		server.Pause()
		unavailable(t, s, "")
		server.Resume()
		works(t, s)
	})
	t.Run("cut", func(t *testing.T) {
		proxy := testenv.StartProxy(t, server.Addr())
		u, _ := url.Parse(dsn)
		u.Host = proxy.Addr()
		s := openAt(t, u.String(), quick)
		m, err := s.Instances().Join(ctx, "n")
		if err != nil {
			t.Fatal(err)
		}
		if err := proxy.Refuse(true); err != nil {
			t.Fatal(err)
		}
		proxy.Cut()
		unavailable(t, s, "")
		<-m.Lost()
		if err := proxy.Refuse(false); err != nil {
			t.Fatal(err)
		}
		works(t, s)
		if _, err := s.Instances().Join(ctx, "n"); err != nil {
			t.Error(err)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		s := openAt(t, dsn, quick)
		admin(t, "ALTER SYSTEM SET default_transaction_read_only = on")
		admin(t, "SELECT pg_reload_conf()")
		for err := error(nil); err == nil; err = putZone(s, "z") { // the reload takes its moment
			admin(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fado'")
		}
		unavailable(t, s, "")
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		for _, sql := range []string{"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		works(t, s)
	})
	t.Run("too many connections", func(t *testing.T) {
		s := openAt(t, dsn, quick)
		u, _ := url.Parse(dsn)
		name := strings.TrimPrefix(u.Path, "/")
		admin(t, "CREATE ROLE crowd LOGIN PASSWORD 'crowd' SUPERUSER CONNECTION LIMIT 0; ALTER ROLE crowd NOSUPERUSER; GRANT ALL ON DATABASE "+name+" TO crowd")
		u.User = url.UserPassword("crowd", "crowd")
		unavailable(t, openAt(t, u.String(), patient), "too many connections")
		works(t, s)
	})
}

// underLoad breaks the server while rows are added: every row that was acknowledged has
// to be there after it.
func underLoad(t *testing.T, s *Store, fault func()) {
	t.Helper()
	works(t, s)
	run := fmt.Sprint(time.Now().UnixNano())
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	stop := make(chan struct{})
	begun := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			added := 0
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("%s/%d/%d", run, w, i)
				_, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: key, Cluster: "c1"})
				if err == nil {
					mu.Lock()
					acknowledged[key] = true
					mu.Unlock()
					if added++; added == 6 {
						begun <- struct{}{}
					}
				} else if !errors.Is(err, state.ErrUnavailable) {
					t.Errorf("got %v, want an ErrUnavailable", err)
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	fault()
	close(stop)
	wg.Wait()
	works(t, s)
	there := map[string]bool{}
	if err := s.Queue().EachPending(ctx, func(p state.Pending) error { there[p.Key] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for key := range acknowledged {
		if !there[key] {
			t.Errorf("row %s was acknowledged and is gone", key)
		}
	}
	if len(acknowledged) < 20 {
		t.Errorf("only %d rows were acknowledged", len(acknowledged))
	}
}

// TestSecretsStaySecret looks for the password in errors and logs.
func TestSecretsStaySecret(t *testing.T) {
	dsn := testenv.PostgresDatabase(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "pa:ss/w?rd hush"
	core, logs := observer.New(zap.DebugLevel)
	wrong := *u
	wrong.User = url.UserPassword(u.User.Username(), secret)
	nobody := wrong
	nobody.Host = "127.0.0.1:1"
	nowhere := wrong
	nowhere.Host = "no-such-host.invalid"
	var texts []string
	for _, dsn := range []string{
		wrong.String(), nobody.String(), nowhere.String(),
		"host=127.0.0.1 port=1 user=fado password='" + secret + "' dbname=x",
		"postgres://fado:" + url.QueryEscape(secret) + "@db:x/y", "host=db password='" + secret, "postgres://u:" + secret + "@h/x?sslmode=odd",
	} {
		s, err := Open(ctx, Options{DSN: dsn, ConnectTimeout: time.Second, StatementTimeout: time.Second, Log: zap.New(core)})
		if err == nil {
			_, err = s.ChangeLog().Seq(ctx)
			listener{s.db}.listenOnce(new(heard))
			s.Close()
		}
		if err == nil {
			t.Errorf("%s works", dsn)
			continue
		}
		texts = append(texts, fmt.Sprintf("%+v %#v", err, err))
	}
	for _, entry := range logs.All() {
		texts = append(texts, fmt.Sprintf("%+v %+v", entry.Message, entry.ContextMap()))
	}
	if logs.Len() == 0 {
		t.Error("nothing was logged")
	}
	for _, text := range texts {
		for _, bad := range []string{secret, "hush", url.QueryEscape(secret), "pa:ss"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q is in %s", bad, text)
			}
		}
	}
}

// TestStoppedProcess stops a process that holds a lock and a claim (SIGSTOP), takes both
// over, and lets it go on: it must know that it is out before it does anything.
func TestStoppedProcess(t *testing.T) {
	if dsn := os.Getenv("FADO_TEST_STOPPED"); dsn != "" {
		stoppedProcess(t, dsn)
		return
	}
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	s := openAt(t, dsn, patient)
	row := state.Pending{Bucket: "b", Key: "k", Cluster: "c1"}
	if _, err := s.Queue().AddPending(ctx, row); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoppedProcess$")
	cmd.Env = append(os.Environ(), "FADO_TEST_STOPPED="+dsn)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	lines := bufio.NewScanner(out)
	said := func() string { lines.Scan(); return lines.Text() }
	if got := said(); got != "holds" {
		t.Fatalf("the process said %q", got)
	}
	if _, ok, err := s.Locks().TryLock(ctx, "planner"); err != nil || ok {
		t.Fatalf("the lock was taken while the process runs (%v)", err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var locked bool
	var claimed []state.Pending
	for until := time.Now().Add(3 * time.Minute); !locked || len(claimed) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not taken over: lock %v, claims %v", locked, claimed)
		}
		if !locked {
			if _, locked, err = s.Locks().TryLock(ctx, "planner"); err != nil {
				t.Fatal(err)
			}
		}
		more, err := s.Queue().ClaimPending(ctx, "other", 1, time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		claimed = append(claimed, more...)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "go on")
	if got := said(); got != "lost 1 claims, ended lease: true" {
		t.Errorf("the process that woke up said %q", got)
	}
}

func stoppedProcess(t *testing.T, dsn string) { //nolint:thelper // the whole of a process: a failure is to point into it
	s := openAt(t, dsn, patient)
	m, err := s.Instances().Join(ctx, "stopped")
	if err != nil {
		t.Fatal(err)
	}
	l, ok, err := s.Locks().TryLock(ctx, "planner")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	rows, err := s.Queue().ClaimPending(ctx, m.ID(), 1, time.Hour, time.Now())
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	fmt.Println("holds")
	bufio.NewReader(os.Stdin).ReadString('\n')
	over := !time.Now().Before(m.LeaseUntil()) // at once, before any goroutine had its turn
	p := rows[0]
	lost, err := s.Queue().ExtendClaims(ctx, m.ID(), time.Now().Add(time.Hour), state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen})
	if err != nil {
		t.Fatal(err)
	}
	<-l.Lost()
	<-m.Lost()
	fmt.Printf("lost %d claims, ended lease: %v\n", len(lost), over)
}
