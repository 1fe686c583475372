package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// simple makes a command without flags of its own.
func simple(use, short string, args cobra.PositionalArgs, f func(ctx context.Context, s *session) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: run(func(ctx context.Context, s *session) (int, error) { return 0, f(ctx, s) })}
}

type overview struct {
	Version, Node, Store, Status, Reason string
	Counts                               struct{ Zones, Clusters, Policies, Buckets int64 }
	SnapshotAge                          float64 `json:"snapshot_age_s"`
}

type replicationStatus struct {
	Paused  bool
	Workers int
	Queue   struct {
		Objects, Bytes int64
		Oldest         *time.Time
	}
	Rate struct{ Objects, Bytes float64 }
	Lag  struct{ P50, P99 float64 } `json:"lag_ms"`

	Transfers []struct {
		Bucket, Key, From, To string
		Done, Total           int64
	}
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Shows how FaDO is, and what replication is doing", Args: cobra.NoArgs,
		Long: `
Shows how FaDO is, and what replication is doing.

Exit status: 0 if all is well, 2 if it is degraded, 1 for an error.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			return s.watched(ctx, s.status)
		}),
	}
	watchFlag(cmd)
	return cmd
}

// status prints the state once; done says that there is no more to wait for.
func (s *session) status(ctx context.Context) (status int, done bool, err error) {
	var raw [2]json.RawMessage
	for i, path := range []string{"/fado/", "/fado/replication"} {
		if err := s.api.Get(ctx, path, nil, &raw[i]); err != nil {
			return 0, false, err
		}
	}
	var o overview
	var r replicationStatus
	for i, v := range []any{&o, &r} {
		if err := json.Unmarshal(raw[i], v); err != nil {
			return 0, false, fmt.Errorf("reading the status: %w", err)
		}
	}
	if o.Status != "ok" {
		status = exitDiffers
	}
	if s.json {
		return status, false, s.out.print(map[string]json.RawMessage{"overview": raw[0], "replication": raw[1]})
	}
	s.out.showStatus(&o, &r)
	return status, false, nil
}

func (out printer) showStatus(o *overview, r *replicationStatus) {
	state := out.colour(green, o.Status)
	if o.Status != "ok" {
		state = out.colour(yellow, o.Status) + ": " + cut(o.Reason, out.columns()-20)
	}
	out.say("FaDO %s on %s, store %s: %s", o.Version, o.Node, o.Store, state)
	out.say("%s, %s, %s, %s", count(o.Counts.Buckets, "bucket"), count(o.Counts.Clusters, "cluster"), count(o.Counts.Zones, "zone"), count(o.Counts.Policies, "policy"))
	what := "Replication"
	if r.Paused {
		what = out.colour(yellow, "Replication, paused")
	}
	out.say("%s: %s waiting (%s); %.0f objects/s, %s/s; lag p50 %.0f ms, p99 %.0f ms", what,
		count(r.Queue.Objects, "object"), bytesText(r.Queue.Bytes), r.Rate.Objects, bytesText(int64(r.Rate.Bytes)), r.Lag.P50, r.Lag.P99)
	if len(r.Transfers) == 0 {
		return
	}
	t := newTable("BUCKET", "KEY", "FROM", "TO", "DONE")
	for _, x := range r.Transfers[:min(len(r.Transfers), maxShown)] {
		t.add(x.Bucket, x.Key, x.From, x.To, bar(x.Done, x.Total)+" of "+bytesText(x.Total))
	}
	out.tell(t)
}

type bucketItem struct {
	Name, Policy, Origin string
	Prefixes             []struct{ Prefix, Policy string }
	Status               struct {
		State, Reason, Primary string
		ComparedAt             *time.Time `json:"compared_at"`
		Copies                 []copyItem
		Prefixes               []struct {
			Prefix string
			Copies []copyItem
		}
	}
}

type copyItem struct {
	Cluster, Zone, Role, State, Error string

	Objects, Bytes int64
	Pending        struct{ Objects, Bytes int64 }
	VerifiedAt     *time.Time `json:"verified_at"`
}

// pages is how many items of a list are read at a time.
const pages = 1000

// list reads all items of a collection and prints them: as JSON, or by row.
func list[T any](ctx context.Context, s *session, path string, t *table, row func(T) []string, name func(T) string) error {
	var all []json.RawMessage
	query := url.Values{"limit": {strconv.Itoa(pages)}}
	for {
		var page []json.RawMessage
		if err := s.api.Get(ctx, path, query, &page); err != nil {
			return err
		}
		var last T
		for _, raw := range page {
			var item T
			if err := json.Unmarshal(raw, &item); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
			last = item
			cells := row(item)
			if !s.json {
				t.add(cells...)
			}
		}
		if s.json {
			all = append(all, page...)
		}
		if len(page) < pages {
			break
		}
		query.Set("after", name(last))
	}
	if s.json {
		if all == nil {
			all = []json.RawMessage{}
		}
		return s.out.print(all)
	}
	s.out.tell(t)
	return nil
}

func bucketsCommand() *cobra.Command {
	return listing("buckets", "Lists the buckets: where each is, and why it is not where it should be", func(ctx context.Context, s *session) (bool, error) {
		done := true
		err := list(ctx, s, "/fado/buckets", newTable("BUCKET", "POLICY", "STATE", "PRIMARY", "COPIES", "REASON"), func(b bucketItem) []string {
			var copies []string
			for _, c := range b.Status.Copies {
				if c.Role != "primary" {
					copies = append(copies, c.Cluster)
				}
			}
			done = done && b.Status.State == "ok"
			return []string{b.Name, orDash(b.Policy), b.Status.State, orDash(b.Status.Primary), joined(copies), b.Status.Reason}
		}, func(b bucketItem) string { return b.Name })
		return done, err
	})
}

func bucketCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bucket <bucket>", Short: "Shows a bucket's copies", Args: these(1, 1),
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			return s.watched(ctx, s.bucket)
		}),
	}
	watchFlag(cmd)
	return cmd
}

// comparedSince says whether all copies of a bucket were compared with its primary again since it
// was another one.
func (b *bucketItem) comparedSince(before *bucketItem) bool {
	if !slices.ContainsFunc(b.Status.Copies, func(c copyItem) bool { return c.Role == "copy" }) {
		return true // there is nothing to compare
	}
	was, now := before.Status.ComparedAt, b.Status.ComparedAt
	return now != nil && (was == nil || now.After(*was))
}

// bucket prints the bucket of the first argument; done says that it is where it should be.
func (s *session) bucket(ctx context.Context) (status int, done bool, err error) {
	return bucketSince(ctx, s, nil)
}

// bucketSince is bucket, and not done before all copies were compared since the bucket was another
// one; nil for whenever that was.
func bucketSince(ctx context.Context, s *session, before *bucketItem) (status int, done bool, err error) {
	var raw json.RawMessage
	var b bucketItem
	if err = s.api.Get(ctx, client.Path("buckets", s.args[0]), nil, &raw); err != nil {
		return 0, false, err
	}
	if err = json.Unmarshal(raw, &b); err != nil {
		return 0, false, fmt.Errorf("reading bucket %s: %w", s.args[0], err)
	}
	done = b.Status.State == "ok" && (before == nil || b.comparedSince(before))
	if s.json {
		return 0, done, s.out.print(raw)
	}
	s.showBucket(&b)
	return 0, done, nil
}

func (s *session) showBucket(b *bucketItem) {
	state := s.out.colour(green, b.Status.State)
	if b.Status.State != "ok" {
		state = s.out.colour(yellow, b.Status.State) + ": " + cut(b.Status.Reason, s.out.columns()-20-len(b.Name))
	}
	s.out.say("%s, policy %s: %s", b.Name, orDash(b.Policy), state)
	t := newTable("CLUSTER", "PREFIX", "ROLE", "STATE", "OBJECTS", "BYTES", "PENDING", "COMPARED", "ERROR")
	for _, c := range b.Status.Copies {
		t.add(c.row("–", strconv.FormatInt(c.Pending.Objects, 10))...)
	}
	for _, p := range b.Status.Prefixes {
		for _, c := range p.Copies {
			t.add(c.row(p.Prefix, "–")...)
		}
	}
	s.out.tell(t)
	if left := b.left(); left > 0 || s.moved.most > 0 {
		s.out.say("%s left%s", count(left, "object"), s.since(left))
	}
}

// left is how many objects are not in their copies yet, as far as that is counted: of a copy that is
// being made, those that the primary has more.
func (b *bucketItem) left() (n int64) {
	var primary int64
	for _, c := range b.Status.Copies {
		if c.Role == "primary" {
			primary = c.Objects
		}
	}
	for _, c := range b.Status.Copies {
		switch {
		case c.Role == "primary":
		case c.State == "syncing":
			n += max(0, primary-c.Objects)
		default:
			n += c.Pending.Objects
		}
	}
	return n
}

// row shows a copy of a bucket, or of one of its prefixes.
func (c *copyItem) row(prefix, pending string) []string {
	compared := time.Time{}
	if c.VerifiedAt != nil {
		compared = *c.VerifiedAt
	}
	return []string{
		c.Cluster, prefix, c.Role, c.State, strconv.FormatInt(c.Objects, 10), bytesText(c.Bytes), pending, ago(compared, time.Now(), " ago"), c.Error,
	}
}

type clusterItem struct {
	Name, Origin string
	Zones        []string
	Drain        bool
	Status       struct {
		Storage *struct {
			State, Error string
			Used         int64 `json:"used_bytes"`
		}
		Functions []struct {
			URL      string
			Healthy  bool
			InFlight int64 `json:"in_flight"`
		}
		Drain *struct{ State string }
	}
}

func clustersCommand() *cobra.Command {
	return listing("clusters", "Lists the clusters, their storages and functions", func(ctx context.Context, s *session) (bool, error) {
		return false, list(ctx, s, "/fado/clusters", newTable("CLUSTER", "ZONES", "STORAGE", "USED", "FUNCTIONS", "IN FLIGHT", "DRAIN", "ERROR"), func(c clusterItem) []string {
			storage, used, why := "none", "–", ""
			if st := c.Status.Storage; st != nil {
				storage, used, why = st.State, bytesText(st.Used), st.Error
			}
			up, inFlight := 0, int64(0)
			for _, f := range c.Status.Functions {
				inFlight += f.InFlight
				if f.Healthy {
					up++
				}
			}
			drain := "–"
			if c.Drain {
				drain = "draining"
				if c.Status.Drain != nil {
					drain = c.Status.Drain.State
				}
			}
			return []string{c.Name, joined(c.Zones), storage, used, fmt.Sprintf("%d of %d up", up, len(c.Status.Functions)), strconv.FormatInt(inFlight, 10), drain, why}
		}, func(c clusterItem) string { return c.Name })
	})
}

type policyItem struct {
	Name                     string
	Copies                   any
	Zones                    []string
	Exclude                  []string `json:"exclude_zones"`
	Clusters, Prefer         []string
	Spread, Writes, Versions string
	OnMiss                   string `json:"on_miss"`
	Origin                   string
}

func policiesCommand() *cobra.Command {
	return listing("policies", "Lists the policies", func(ctx context.Context, s *session) (bool, error) {
		return false, list(ctx, s, "/fado/policies", newTable("POLICY", "COPIES", "ZONES", "EXCLUDED", "CLUSTERS", "PREFER", "WRITES", "VERSIONS", "ON MISS", "ORIGIN"), func(p policyItem) []string {
			return []string{p.Name, fmt.Sprint(p.Copies), joined(p.Zones), joined(p.Exclude), joined(p.Clusters), joined(p.Prefer), p.Writes, p.Versions, p.OnMiss, p.Origin}
		}, func(p policyItem) string { return p.Name })
	})
}

type zoneItem struct{ Name, Parent, Origin string }

func zonesCommand() *cobra.Command {
	return listing("zones", "Lists the zones", func(ctx context.Context, s *session) (bool, error) {
		return false, list(ctx, s, "/fado/zones", newTable("ZONE", "INSIDE", "ORIGIN"), func(z zoneItem) []string {
			return []string{z.Name, orDash(z.Parent), z.Origin}
		}, func(z zoneItem) string { return z.Name })
	})
}

type routeAnswer struct {
	Decision   *struct{ Cluster, Locality, URL string }
	Reason     string
	Candidates []struct {
		Cluster, Zone, URL, Locality, Reason string

		Fresh, Healthy, Eligible bool
		InFlight                 int64 `json:"in_flight"`
	}
}

func routeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "route [<bucket> [<object>...]]", Short: "Shows where an invocation would go now, and why nowhere else",
		Long: `
Shows where an invocation that names a bucket and objects would go now, and why
nowhere else.

Exit status: 0 if it would go somewhere, 2 if it would be refused, 1 for an error.
`,
		RunE: run(func(ctx context.Context, s *session) (status int, err error) {
			r := get("/fado/route")
			r.Query = url.Values{}
			if len(s.args) > 0 {
				r.Query.Set("bucket", s.args[0])
				r.Query["object"] = s.args[1:]
			}
			if r.Query["data"], err = s.cmd.Flags().GetStringArray("data"); err != nil {
				return 0, err
			}
			a, err := read[routeAnswer](ctx, s, r)
			if err == nil && a.Decision == nil {
				status = exitDiffers
			}
			if err == nil && !s.json {
				s.out.showRoute(&a)
			}
			return status, err
		}),
	}
	cmd.Flags().StringArray("data", nil, "input as s3://bucket/key or s3://bucket/; repeatable")
	return cmd
}

func (out printer) showRoute(a *routeAnswer) {
	if a.Decision == nil {
		out.say("%s: %s", out.colour(red, "refused"), a.Reason)
	} else {
		out.say("%s: %s (%s)", a.Decision.Cluster, a.Decision.URL, a.Decision.Locality)
	}
	t := newTable("CLUSTER", "ZONE", "URL", "LOCALITY", "FRESH", "HEALTHY", "IN FLIGHT", "WHY")
	for _, c := range a.Candidates {
		t.add(c.Cluster, c.Zone, orDash(c.URL), orDash(c.Locality), yes(c.Fresh), yes(c.Healthy), strconv.FormatInt(c.InFlight, 10), c.Reason)
	}
	out.tell(t)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// bar draws how far something is: "#####----- 50 %".
func bar(done, total int64) string {
	const width = 10
	if total <= 0 {
		return strings.Repeat("-", width)
	}
	n := int(min(done, total) * width / total)
	return strings.Repeat("#", n) + strings.Repeat("-", width-n) + fmt.Sprintf(" %d %%", min(done, total)*100/total)
}
