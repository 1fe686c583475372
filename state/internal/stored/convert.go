package stored

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// Dialect is how an engine writes what the conversion stores.
type Dialect struct {
	// Rewrite makes the engine's own text of a statement with $1, $2 ... and tables without
	// a schema.
	Rewrite func(query string) string
	// Key is the form of keys, prefixes and cursors.
	Key func(string) any
	Log *zap.Logger
}

// Foreign is what a row says of a foreign object: those of former versions say only that there was one.
func Foreign(is bool, of state.Foreign) state.Foreign {
	if is && of == "" {
		return state.ForeignAny
	}
	return of
}

// Former meta values: what versions before the tables kept as JSON.
const (
	formerPurges   = "replication/purges"
	formerPaused   = "replication/paused"
	formerBulletin = "replication/bulletin/"
	formerScrub    = "verify/scrub"
	formerVerify   = "verify/bucket/"
	formerIndex    = "verify/node/"
)

type formerPurge struct {
	Bucket  string
	Mode    string
	Primary string
	Copies  []struct {
		Cluster    string
		Primary    bool
		MadeBucket bool `json:"made_bucket"`
		Verified   bool
		OwnedUntil time.Time `json:"owned_until"`
		Foreign    []string
		Pulled     map[string]string
	}
}

type formerVerification struct {
	Show struct {
		Bucket, State, Error               string
		Deep                               bool
		Started, Finished                  *time.Time
		Objects, Bytes, Total              int64
		TotalBytes                         int64 `json:"total_bytes"`
		Mismatches, Repaired, Unrepairable int64
		Keys                               []struct{ Key, Cluster, Reason, State string }
	}
	Done         []string
	Step, Cursor string
	At           struct{ Objects, Bytes int64 }
	Repairs      []struct {
		Key     string `json:"k"`
		Cluster string `json:"c"`
	}
}

type formerNode struct {
	Running []string
	Damaged map[string]string
}

type formerScrubState struct {
	Last    time.Time
	Running bool
	After   string
}

// converter turns former meta values into rows within one transaction.
type converter struct {
	ctx context.Context
	tx  *sql.Tx
	d   Dialect
}

func convertMeta(ctx context.Context, tx *sql.Tx, d Dialect) error {
	c := &converter{ctx: ctx, tx: tx, d: d}
	values, err := c.values()
	if err != nil {
		return fmt.Errorf("reading meta values: %w", err)
	}
	for _, kv := range values { // sorted: verifications before the nodes that run them
		known, err := c.convert(kv[0], kv[1])
		if err != nil {
			return fmt.Errorf("converting meta value %s: %w", kv[0], err)
		}
		if !known {
			continue
		}
		if err := c.exec("DELETE FROM meta WHERE key = $1", kv[0]); err != nil {
			return err
		}
	}
	for _, table := range []string{"mismatches", "verifications"} { // of buckets that are gone
		if err := c.exec("DELETE FROM " + table + ` WHERE bucket NOT IN (SELECT bucket FROM copies)
			AND bucket NOT IN (SELECT name FROM resources WHERE kind = 'bucket')`); err != nil {
			return err
		}
	}
	return nil
}

func (c *converter) values() (all [][2]string, err error) {
	rows, err := c.tx.QueryContext(c.ctx, c.d.Rewrite("SELECT key, value FROM meta ORDER BY key"))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var kv [2]string
		if err := rows.Scan(&kv[0], &kv[1]); err != nil {
			return nil, err
		}
		all = append(all, kv)
	}
	return all, rows.Err()
}

func (c *converter) exec(query string, args ...any) error {
	_, err := c.tx.ExecContext(c.ctx, c.d.Rewrite(query), args...)
	return err
}

// convert stores one value as rows, and says whether it is no longer needed.
func (c *converter) convert(key, value string) (known bool, err error) {
	switch {
	case strings.HasPrefix(key, formerBulletin), value == "" && (key == formerPurges || key == formerPaused):
		return true, nil
	case key == formerPaused:
		return true, c.exec("UPDATE engine SET paused = $1", true)
	case key == formerPurges:
		return read(c, key, value, c.purges)
	case key == formerScrub:
		return read(c, key, value, func(s formerScrubState) error {
			return c.exec("UPDATE engine SET scrub_last = $1, scrub_running = $2, scrub_after = $3", ToMillis(s.Last), s.Running, s.After)
		})
	case strings.HasPrefix(key, formerVerify):
		return read(c, key, value, func(v formerVerification) error { return c.verification(strings.TrimPrefix(key, formerVerify), v) })
	case strings.HasPrefix(key, formerIndex):
		return read(c, key, value, func(n formerNode) error { return c.node(strings.TrimPrefix(key, formerIndex), n) })
	}
	return false, nil
}

// read decodes a value. One that can't be read stays where it is, for people to look at.
func read[T any](c *converter, key, value string, f func(T) error) (bool, error) {
	var v T
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		c.d.Log.Warn("a stored value can't be read; leaving it where it is", zap.String("key", key), zap.Error(err))
		return false, nil
	}
	return true, f(v)
}

func (c *converter) purges(all map[string]formerPurge) error {
	for bucket, p := range all {
		if err := c.exec("INSERT INTO purges (bucket, mode, primary_cluster, since) VALUES ($1, $2, $3, $4)", bucket, p.Mode, p.Primary, ToMillis(time.Now())); err != nil {
			return err
		}
		for _, t := range p.Copies {
			if err := c.exec(`INSERT INTO purge_targets (bucket, cluster, is_primary, made_bucket, verified, owned_until, pulled_only)
				VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (bucket, cluster) DO NOTHING`,
				bucket, t.Cluster, t.Primary, t.MadeBucket, t.Verified, ToMillis(t.OwnedUntil), t.Pulled != nil); err != nil {
				return err
			}
			etags := t.Pulled
			if etags == nil {
				etags = make(map[string]string, len(t.Foreign))
				for _, key := range t.Foreign {
					etags[key] = ""
				}
			}
			for key, etag := range etags {
				if err := c.exec("INSERT INTO purge_keys (bucket, cluster, key, etag) VALUES ($1, $2, $3, $4) ON CONFLICT (bucket, cluster, key) DO NOTHING",
					bucket, t.Cluster, c.d.Key(key), Plain(etag)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *converter) verification(bucket string, v formerVerification) error {
	done, err := EncodeSteps(v.Done)
	if err != nil {
		return err
	}
	s := v.Show
	millis := func(t *time.Time) int64 {
		if t == nil {
			return 0
		}
		return ToMillis(*t)
	}
	if err := c.exec(`INSERT INTO verifications (bucket, node, under_way, state, deep, error, started, finished, objects, bytes, total, total_bytes,
			mismatches, repaired, unrepairable, done, step, cursor, step_objects, step_bytes, damage)
		VALUES ($1, '', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, '')`,
		bucket, false, s.State, s.Deep, Plain(s.Error), millis(s.Started), millis(s.Finished), s.Objects, s.Bytes, s.Total, s.TotalBytes,
		s.Mismatches, s.Repaired, s.Unrepairable, done, c.d.Key(v.Step), c.d.Key(v.Cursor), v.At.Objects, v.At.Bytes); err != nil {
		return err
	}
	mismatch := func(key, cluster, reason, state string) error {
		return c.exec(`INSERT INTO mismatches (bucket, key, cluster, reason, state) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (bucket, key, cluster) DO NOTHING`, bucket, c.d.Key(key), cluster, Plain(reason), state)
	}
	for _, m := range s.Keys {
		if err := mismatch(m.Key, m.Cluster, m.Reason, m.State); err != nil {
			return err
		}
	}
	for _, r := range v.Repairs {
		if err := mismatch(r.Key, r.Cluster, "", "repairing"); err != nil {
			return err
		}
	}
	return nil
}

func (c *converter) node(node string, n formerNode) error {
	for _, bucket := range n.Running {
		if err := c.exec("UPDATE verifications SET node = $1, under_way = $2 WHERE bucket = $3", node, true, bucket); err != nil {
			return err
		}
	}
	for bucket, why := range n.Damaged {
		if err := c.exec("UPDATE verifications SET damage = $1 WHERE bucket = $2", Plain(why), bucket); err != nil {
			return err
		}
	}
	return nil
}
