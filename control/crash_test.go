package control_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// A crash of the database may bring back rows whose removal it had answered. They are worked on again.
func TestACrashBringsRowsBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := testenv.PostgresServer(t)
	dsn := server.Database(t)
	admin, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	// What does not wait for the disk reaches it late.
	for _, sql := range []string{"ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()"} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	_ = admin.Close(ctx)
	i := joinBy(t, dsn)
	i.seed(t)
	eventually(t, "a removal that a crash takes back", func() bool {
		if err := i.Pending.Add(ctx, state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2"}); err != nil {
			return false
		}
		rows, err := i.Pending.ClaimIn(ctx, "c2", 1, lease)
		if err != nil || len(rows) != 1 || i.Pending.Finish(ctx, rows[0].RowKey()) != nil {
			return false
		}
		server.Kill()
		if err := server.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		var all []state.Pending
		eventually(t, "the database", func() bool {
			all, err = i.store.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 10)
			return err == nil
		})
		return len(all) == 1
	})
	eventually(t, "the row is known of", func() bool { return slices.Contains(i.Pending.Clusters(), "c2") })
}
