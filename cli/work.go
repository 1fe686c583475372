package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

func syncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "sync <bucket>", Short: "Compares a bucket's copies with its primary now, and brings them in step", Args: these(1, 1),
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			var before bucketItem
			if s.set("watch") {
				if err := s.api.Get(ctx, client.Path("buckets", s.args[0]), nil, &before); err != nil {
					return 0, err
				}
			}
			if err := s.api.Post(ctx, client.Path("buckets", s.args[0], "sync"), nil, nil); err != nil {
				return 0, err
			}
			if s.set("watch") {
				return s.watched(ctx, func(ctx context.Context) (int, bool, error) { return bucketSince(ctx, s, &before) })
			}
			if s.json {
				return 0, s.out.print(map[string]string{"bucket": s.args[0], "state": "accepted"})
			}
			s.out.say("The copies of %s are being compared; caddy fado bucket %s --watch shows how far that is.", s.args[0], s.args[0])
			return 0, nil
		}),
	}
	watchFlag(cmd)
	return cmd
}

type verification struct {
	State, Error string
	Deep         bool
	Estimate     *time.Time

	Objects, Total, Bytes, Mismatches, Repaired, Unrepairable int64
	Keys                                                      []struct{ Key, Cluster, Reason, State string }
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify <bucket>", Short: "Compares all copies of a bucket completely, and repairs what differs", Args: these(1, 1),
		Long: `
Compares all copies of a bucket with its primary, and repairs what differs from a
good one. --show starts nothing: it shows the last or present verification.

Exit status: 0 if nothing is wrong, 2 if something could not be repaired, 1 for an error.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			path := client.Path("buckets", s.args[0], "verify")
			if s.set("show") || s.set("watch") {
				if !s.set("show") {
					if err := s.api.Post(ctx, path+deep(s), nil, nil); err != nil {
						return 0, err
					}
				}
				return s.watched(ctx, func(ctx context.Context) (int, bool, error) { return s.verification(ctx, get(path)) })
			}
			status, _, err := s.verification(ctx, post(path+deep(s)))
			return status, err
		}),
	}
	cmd.Flags().Bool("deep", false, "read the bytes again, too")
	cmd.Flags().Bool("show", false, "start none")
	watchFlag(cmd)
	return cmd
}

func deep(s *session) string { return "?deep=" + flagOf(s.cmd, "deep") }

func (s *session) verification(ctx context.Context, r client.Request) (status int, done bool, err error) {
	v, err := read[verification](ctx, s, r)
	if err != nil {
		return 0, false, err
	}
	done = v.State == "done" || v.State == "failed" || v.State == "never"
	if v.Unrepairable > 0 || v.State == "failed" {
		status = exitDiffers
	}
	if !s.json {
		v.show(s.out, done)
	}
	return status, done, nil
}

func (v *verification) show(out printer, done bool) {
	line := fmt.Sprintf("%s: %s %s, %s", v.State, bar(v.Objects, v.Total), count(v.Objects, "object"), bytesText(v.Bytes))
	if v.Estimate != nil && !done {
		line += ", " + secondsText(max(0, time.Until(*v.Estimate).Seconds())) + " left"
	}
	out.say("%s; %s, %d repaired, %d not", line, count(v.Mismatches, "mismatch"), v.Repaired, v.Unrepairable)
	if v.Error != "" {
		out.say("%s", cut(v.Error, out.columns()))
	}
	if done && len(v.Keys) > 0 {
		t := newTable("KEY", "CLUSTER", "STATE", "REASON")
		for _, k := range v.Keys {
			t.add(k.Key, k.Cluster, k.State, k.Reason)
		}
		out.tell(t)
	}
}

func drainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "drain <cluster>", Short: "Empties a cluster: no new copies or requests, and what it holds moves away", Args: these(1, 1),
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			if err := s.setDrain(ctx, true); err != nil {
				return 0, err
			}
			return s.watched(ctx, s.draining)
		}),
	}
	watchFlag(cmd)
	return cmd
}

func undrainCommand() *cobra.Command {
	return simple("undrain <cluster>", "Takes a cluster into use again", these(1, 1), func(ctx context.Context, s *session) error {
		if err := s.setDrain(ctx, false); err != nil {
			return err
		}
		if s.json {
			return s.out.print(map[string]any{"cluster": s.args[0], "drain": false})
		}
		s.out.say("%s is in use.", s.args[0])
		return nil
	})
}

func (s *session) setDrain(ctx context.Context, drain bool) error {
	return s.api.Patch(ctx, client.Path("clusters", s.args[0]), map[string]bool{"drain": drain}, nil)
}

type drainingCluster struct {
	Status struct {
		Drain *struct {
			State          string
			Buckets        int64
			Objects, Bytes int64
			Reason         string
		}
	}
}

func (s *session) draining(ctx context.Context) (status int, done bool, err error) {
	c, err := read[drainingCluster](ctx, s, get(client.Path("clusters", s.args[0])))
	if err != nil {
		return 0, false, err
	}
	d := c.Status.Drain
	done = d != nil && d.State == "done"
	switch {
	case s.json:
	case d == nil:
		s.out.say("%s: draining", s.args[0])
	default:
		s.out.say("%s: %s; %s, %s, %s to move%s", s.args[0], d.State, count(d.Buckets, "bucket"), count(d.Objects, "object"), bytesText(d.Bytes), s.since(d.Objects))
		if d.Reason != "" {
			s.out.say("%s", cut(d.Reason, s.out.columns()))
		}
	}
	return 0, done, nil
}

type conflict struct {
	Key, Reason string
	Copies      []struct {
		Cluster, ETag string
		Size          int64
		LastModified  time.Time `json:"last_modified"`
	}
}

func conflictsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "conflicts <bucket>", Short: "Lists a bucket's conflicts, or settles them", Args: these(1, 1),
		Long: `
Lists the keys where an object that FaDO did not write stands in the way of a copy.
With --winner settles them: the object of that cluster, or the newest, stays.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			path := client.Path("buckets", s.args[0], "conflicts")
			if winner := flagOf(s.cmd, "winner"); winner != "" {
				body := map[string]any{"winner": winner, "discard": s.set("discard")}
				if key := flagOf(s.cmd, "key"); key != "" {
					body["key"] = key
				}
				return 0, show(ctx, s, client.Request{Method: http.MethodPost, Path: path + "/resolve", Body: body}, func(v map[string]any) { s.out.showMap(v) })
			}
			all, err := most[conflict](ctx, s, path)
			if err == nil && !s.json {
				showConflicts(s.out, all)
			}
			return 0, err
		}),
	}
	cmd.Flags().String("winner", "", "the cluster whose objects stay, or newest")
	cmd.Flags().String("key", "", "settle this key only")
	cmd.Flags().Bool("discard", false, "also discard objects whose storage keeps no versions")
	return cmd
}

func showConflicts(out printer, all []conflict) {
	t := newTable("KEY", "CLUSTER", "SIZE", "MODIFIED", "REASON")
	for _, c := range all {
		for _, cp := range c.Copies {
			t.add(c.Key, cp.Cluster, bytesText(cp.Size), cp.LastModified.Format(time.RFC3339), c.Reason)
		}
	}
	out.tell(t)
}

func deletesCommand() *cobra.Command {
	cmd := simple("deletes <bucket> [confirm|reject]", "Lists the deletes that max_deletes holds back, applies them, or restores the objects", these(1, 2), func(ctx context.Context, s *session) error {
		if len(s.args) == 1 {
			return listDeletes(ctx, s)
		}
		if s.args[1] != "confirm" && s.args[1] != "reject" {
			return fmt.Errorf("%q: expected confirm or reject", s.args[1])
		}
		return show(ctx, s, post(client.Path("buckets", s.args[0], "deletes", s.args[1])), func(v map[string]any) { s.out.showMap(v) })
	})
	cmd.Long = `
Lists the deletes of a bucket that max_deletes holds back. With "confirm" applies them to
the copies, with "reject" copies the objects back to the primary.
`
	return cmd
}

// heldDeletes is a page of the deletes that are held.
type heldDeletes struct {
	Copies []struct {
		Cluster       string
		Held, Objects int64
	}
	Deletes []json.RawMessage
}

// listDeletes lists the held deletes, page by page.
func listDeletes(ctx context.Context, s *session) error {
	var first *heldDeletes
	all := []json.RawMessage{}
	err := eachPage(ctx, s, client.Path("buckets", s.args[0], "deletes"), url.Values{}, func(page *heldDeletes) error {
		first = cmp.Or(first, page)
		all = append(all, page.Deletes...)
		return nil
	})
	if err != nil {
		return err
	}
	if s.json {
		return s.out.print(all)
	}
	for _, c := range first.Copies {
		s.out.say("%s: %s of %s held", c.Cluster, count(c.Held, "delete"), count(c.Objects, "object"))
	}
	t := newTable("KEY", "CLUSTER", "SIZE", "FOR")
	for _, raw := range all {
		var d struct {
			Key, Cluster string
			Size         int64
			Since        time.Time
		}
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("reading the deletes: %w", err)
		}
		t.add(d.Key, d.Cluster, bytesText(d.Size), ago(d.Since, time.Now(), ""))
	}
	s.out.tell(t)
	return nil
}

type failure struct {
	Bucket, Key, Cluster, Error string
	Attempts                    int
	Since                       time.Time
}

func failuresCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "failures", Short: "Lists the objects that can't be copied or removed yet", Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			if s.set("retry") {
				return 0, show(ctx, s, post("/fado/replication/failures/retry"), func(v map[string]any) { s.out.showMap(v) })
			}
			return s.watched(ctx, s.failures)
		}),
	}
	watchFlag(cmd)
	cmd.Flags().Bool("retry", false, "try all of them now")
	return cmd
}

// failures prints the failures; done says that there are none.
func (s *session) failures(ctx context.Context) (status int, done bool, err error) {
	all, err := most[failure](ctx, s, "/fado/replication/failures")
	if err != nil || s.json {
		return 0, len(all) == 0, err
	}
	t := newTable("BUCKET", "KEY", "CLUSTER", "ATTEMPTS", "FOR", "ERROR")
	for _, f := range all {
		t.add(f.Bucket, f.Key, f.Cluster, strconv.Itoa(f.Attempts), ago(f.Since, time.Now(), ""), f.Error)
	}
	s.out.tell(t)
	return 0, len(all) == 0, nil
}

// mostItems is how many items the API gives at most of a list that has no pages.
const mostItems = 10_000

// most reads such a list, and prints it where that is wanted as JSON. It says where that may not be all.
func most[T any](ctx context.Context, s *session, path string) ([]T, error) {
	r := get(path)
	r.Query = url.Values{"limit": {strconv.Itoa(mostItems)}}
	all, err := read[[]T](ctx, s, r)
	if len(all) >= mostItems {
		s.cmd.PrintErrf("These are the first %d; there may be more.\n", mostItems)
	}
	return all, err
}

func pauseCommand() *cobra.Command {
	return switchCommand("pause", "Starts no new replication work, on any instance")
}

func resumeCommand() *cobra.Command {
	return switchCommand("resume", "Resumes replication on all instances")
}

func switchCommand(name, short string) *cobra.Command {
	return simple(name, short, cobra.NoArgs, func(ctx context.Context, s *session) error {
		return show(ctx, s, post("/fado/replication/"+name), func(v map[string]any) { s.out.showMap(v) })
	})
}
