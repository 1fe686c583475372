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

// eachPage reads a list that comes in pages, each with what follows it, and hands them on.
func eachPage[P any](ctx context.Context, s *session, path string, query url.Values, f func(*P) error) error {
	query.Set("limit", strconv.Itoa(pages))
	for {
		var raw json.RawMessage
		if err := s.api.Get(ctx, path, query, &raw); err != nil {
			return err
		}
		var page P
		var follows struct{ Next string }
		for _, into := range []any{&page, &follows} {
			if err := json.Unmarshal(raw, into); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
		}
		if err := f(&page); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if follows.Next == "" {
			return nil
		}
		query.Set("after", follows.Next)
	}
}

// paged prints such a list, whose items are the member of that name: as JSON, or by row. Lists are
// printed page by page: a bucket may have any number of objects.
func paged[T any](ctx context.Context, s *session, path, member string, query url.Values, head []string, row func(T) []string) error {
	all, first := []json.RawMessage{}, true
	err := eachPage(ctx, s, path, query, func(page *map[string]json.RawMessage) error {
		var items []json.RawMessage
		if err := json.Unmarshal((*page)[member], &items); err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
		if s.json {
			all = append(all, items...)
			return nil
		}
		t := newTable(head...)
		for _, raw := range items {
			var item T
			if err := json.Unmarshal(raw, &item); err != nil {
				return err
			}
			t.add(row(item)...)
		}
		if first || len(items) > 0 {
			s.out.tell(t)
		}
		first = false
		return nil
	})
	if err == nil && s.json {
		err = s.out.print(all)
	}
	return err
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
		all, err := read[[]purge](ctx, s, get("/fado/replication/purges"))
		if err != nil || s.json {
			return len(all) == 0, err
		}
		t := newTable("BUCKET", "REMOVES", "LEFT IN", "FOR", "ERROR")
		for _, p := range all {
			t.add(p.Bucket, p.Mode, strings.Join(p.Clusters, ", "), ago(p.Since, time.Now(), ""), p.Error)
		}
		s.out.tell(t)
		return len(all) == 0, nil
	})
}
