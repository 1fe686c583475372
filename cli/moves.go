package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// rebalancing is what a rebalance has to do yet.
type rebalancing struct {
	Running                                    bool
	Buckets, Primaries, Copies, Objects, Bytes int64
	Moves                                      []client.BucketMove
}

func rebalanceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rebalance [start|stop]", Short: "Shows what is not where placement would put it today, moves it there, or stops that", Args: these(0, 1),
		Long: `
Shows what is not where placement would put it today. With "start" moves it there, two
buckets at a time on every instance; with "stop" ends that: what has moved stays.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			r := get("/fado/rebalance")
			switch {
			case len(s.args) == 0:
			case s.args[0] == "start":
				r.Method = http.MethodPost
			case s.args[0] == "stop":
				r.Method = http.MethodDelete
			default:
				return 0, fmt.Errorf("%q: expected start or stop", s.args[0])
			}
			return s.watched(ctx, func(ctx context.Context) (int, bool, error) {
				v, err := read[rebalancing](ctx, s, r)
				r.Method = http.MethodGet // it is asked for once
				if err == nil && !s.json {
					showRebalance(s, &v)
				}
				return 0, !v.Running, err
			})
		}),
	}
	watchFlag(cmd)
	return cmd
}

func showRebalance(s *session, v *rebalancing) {
	state := "no rebalance is under way"
	if v.Running {
		state = s.out.colour(yellow, "a rebalance is under way")
	}
	s.out.say("%s; left to move: %s, %s of them primaries; %s, %s, %s%s", state, count(v.Buckets, "bucket"), strconv.FormatInt(v.Primaries, 10),
		count(v.Copies, "copy"), count(v.Objects, "object"), bytesText(v.Bytes), s.since(v.Objects))
	s.out.showBuckets(v.Moves, false)
}

func promoteCommand() *cobra.Command {
	cmd := simple("promote <bucket>", "Swaps the primary of a bucket whose move was prepared (promote: manual)", these(1, 1), func(ctx context.Context, s *session) error {
		return show(ctx, s, post(client.Path("buckets", s.args[0], "promote")), func(b bucketItem) {
			s.out.say("%s moves its primary; caddy fado bucket %s shows when it has.", b.Name, b.Name)
		})
	})
	return cmd
}

// fleet is the instances that share a store.
type fleet struct {
	Trouble   string
	Instances []struct {
		Node, Cluster, Version string
		This, Replicates       bool
		Parts, Behind          int64
	}
}

func nodesCommand() *cobra.Command {
	return listing("nodes", "Lists the instances that share the store", func(ctx context.Context, s *session) (bool, error) {
		return false, show(ctx, s, get("/fado/nodes"), func(v fleet) {
			t := newTable("NODE", "CLUSTER", "VERSION", "REPLICATES", "PARTS", "BEHIND", "THIS")
			for _, i := range v.Instances {
				t.add(i.Node, orDash(i.Cluster), orDash(i.Version), yes(i.Replicates), strconv.FormatInt(i.Parts, 10), strconv.FormatInt(i.Behind, 10), yes(i.This))
			}
			s.out.tell(t)
			if v.Trouble != "" {
				s.out.say("%s", cut(v.Trouble, s.out.columns()))
			}
		})
	})
}

// placed is why a bucket is where it is.
type placed struct {
	Policy   string
	Clusters []struct {
		Cluster, Zone, Reason string
		Chosen                bool
	}
}

func placementCommand() *cobra.Command {
	cmd := simple("placement <bucket>", "Shows the clusters that are chosen for a bucket, and for every cluster why or why not", these(1, 1), func(ctx context.Context, s *session) error {
		r := get(client.Path("buckets", s.args[0], "placement"))
		r.Query = url.Values{"prefix": {flagOf(s.cmd, "prefix")}}
		return show(ctx, s, r, func(v placed) {
			s.out.say("%s, policy %s", s.args[0], v.Policy)
			t := newTable("CLUSTER", "ZONE", "CHOSEN", "WHY")
			for _, c := range v.Clusters {
				t.add(c.Cluster, c.Zone, yes(c.Chosen), c.Reason)
			}
			s.out.tell(t)
		})
	})
	cmd.Flags().String("prefix", "", "of the rule that has keys with this prefix")
	return cmd
}
