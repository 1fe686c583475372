//go:build linux

package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// smallDisk mounts a file system of so many bytes, where that is allowed, for the user that the
// server runs as.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "fado-small-disk-") //nolint:usetesting // t.TempDir's parents are closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", bytes)); err != nil {
		t.Skipf("mounting a small file system is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// ballast fills a file system to its last byte.
func ballast(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 1} {
		for chunk := make([]byte, size); err == nil; {
			_, err = f.Write(chunk)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

// TestDiskFull fills the disk the tables lie on: what needs room is refused and leaves
// nothing behind, what is there is read, and all goes on when there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 64<<20)
	server := testenv.PostgresServer(t)
	dsn := server.Database(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	where := filepath.Join(disk, "tables")
	if err := server.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"CREATE TABLESPACE small LOCATION '" + where + "'", "ALTER DATABASE " + strings.TrimPrefix(u.Path, "/") + " SET TABLESPACE small"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	s := openAt(t, dsn)
	if err := putZone(s, "before"); err != nil {
		t.Fatal(err)
	}
	ballast(t, filepath.Join(disk, "ballast"))

	acknowledged, failure := 0, error(nil)
	for i := 0; failure == nil && i < 1000; i++ {
		rows := make([]state.Pending, 100)
		for j := range rows {
			rows[j] = state.Pending{Bucket: "b", Key: fmt.Sprintf("%d/%d/%s", i, j, strings.Repeat("k", 500)), Cluster: "c1"}
		}
		if _, failure = s.Queue().AddPending(ctx, rows...); failure == nil {
			acknowledged += len(rows)
		}
	}
	if !errors.Is(failure, state.ErrUnavailable) || !strings.Contains(failure.Error(), "the database's disk is full") {
		t.Fatalf("on a full disk: got error %v, want an ErrUnavailable that says so", failure)
	}
	if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "before"); err != nil {
		t.Errorf("reading from a full disk: %v", err)
	}
	count := func() (n int) {
		t.Helper()
		if err := s.Queue().EachPending(ctx, func(state.Pending) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != acknowledged {
		t.Errorf("%d rows are there, %d were acknowledged", n, acknowledged)
	}
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	works(t, s)
	if _, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: "after", Cluster: "c1"}); err != nil || count() != acknowledged+1 {
		t.Errorf("with room again: %v", err)
	}
}
