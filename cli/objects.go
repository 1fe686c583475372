package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// paged reads a list that comes in pages, each with what follows it, and prints it: as JSON, or by
// row. Lists are printed page by page: a bucket may have any number of objects.
func paged[T any](ctx context.Context, s *session, path, member string, query url.Values, head []string, row func(T) []string) error {
	query.Set("limit", strconv.Itoa(pages))
	all := []json.RawMessage{}
	for first := true; ; first = false {
		page := make(map[string]json.RawMessage)
		if err := s.api.Get(ctx, path, query, &page); err != nil {
			return err
		}
		var items []json.RawMessage
		var next string
		for name, into := range map[string]any{member: &items, "next": &next} {
			if err := json.Unmarshal(page[name], into); err != nil {
				return fmt.Errorf("reading %s: %s: %w", path, name, err)
			}
		}
		t := newTable(head...)
		for _, raw := range items {
			var item T
			if err := json.Unmarshal(raw, &item); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
			t.add(row(item)...)
		}
		switch {
		case s.json:
			all = append(all, items...)
		case first || len(items) > 0:
			s.tell(t)
		}
		if next == "" {
			break
		}
		query.Set("after", next)
	}
	if s.json {
		return s.print(all)
	}
	return nil
}

type listedObject struct {
	Key          string
	Size         int64
	LastModified time.Time `json:"last_modified"`
	Clusters     []string
}

func objectsCommand() *cobra.Command {
	cmd := simple("objects <bucket>", "Lists a bucket's objects, and in which clusters each is current", these(1, 1), func(ctx context.Context, s *session) error {
		query := url.Values{"prefix": {flagOf(s.cmd, "prefix")}}
		return paged(ctx, s, client.Path("buckets", s.args[0], "objects"), "objects", query, []string{"KEY", "SIZE", "MODIFIED", "CURRENT IN"}, func(o listedObject) []string {
			return []string{o.Key, bytesText(o.Size), o.LastModified.UTC().Format(time.RFC3339), strings.Join(o.Clusters, ", ")}
		})
	})
	cmd.Flags().String("prefix", "", "only keys with this prefix")
	return cmd
}

type pendingRow struct {
	Key, Cluster, Hold, Error string
	Size, Attempts            int64
	Since                     time.Time
}

func pendingCommand() *cobra.Command {
	cmd := simple("pending <bucket>", "Lists the objects that are known to differ at a copy, and what they wait for", these(1, 1), func(ctx context.Context, s *session) error {
		query := url.Values{}
		if cluster := flagOf(s.cmd, "cluster"); cluster != "" {
			query.Set("cluster", cluster)
		}
		head := []string{"KEY", "CLUSTER", "SIZE", "FOR", "ATTEMPTS", "WAITS FOR", "ERROR"}
		return paged(ctx, s, client.Path("buckets", s.args[0], "pending"), "pending", query, head, func(r pendingRow) []string {
			waits := map[string]string{"": "its turn", "conflict": "people: a conflict", "deletes": "people: held deletes"}[r.Hold]
			return []string{r.Key, r.Cluster, bytesText(r.Size), ago(r.Since, time.Now(), ""), strconv.FormatInt(r.Attempts, 10), waits, r.Error}
		})
	})
	cmd.Flags().String("cluster", "", "only those of this cluster")
	return cmd
}

type purge struct {
	Bucket, Mode, Primary, Error string
	Since                        time.Time
	Clusters                     []string
}

func purgesCommand() *cobra.Command {
	return listing("purges", "Lists the forgotten buckets whose data is still being removed", func(ctx context.Context, s *session) (done bool, err error) {
		return done, show(ctx, s, get("/fado/replication/purges"), func(all []purge) {
			done = len(all) == 0
			t := newTable("BUCKET", "REMOVES", "LEFT IN", "FOR", "ERROR")
			for _, p := range all {
				t.add(p.Bucket, p.Mode, strings.Join(p.Clusters, ", "), ago(p.Since, time.Now(), ""), p.Error)
			}
			s.tell(t)
		})
	})
}
