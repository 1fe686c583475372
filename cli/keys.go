package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

type keyItem struct {
	Name, Secret, Origin string
	Buckets              []string
	ReadOnly             bool `json:"read_only"`
	Expires              *time.Time
}

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys [add [<id>] | remove <id>]", Short: "Lists, makes and removes access keys of the S3 endpoint", Args: these(0, 2),
		Long: `
Lists, makes and removes access keys of the S3 endpoint.

"keys add" makes the ID, unless one is given, and the secret, which is shown only this
once. A key that is removed works on no instance when the command ends.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			switch {
			case len(s.args) == 0:
				return 0, s.keys(ctx)
			case s.args[0] == "add":
				return 0, s.addKey(ctx)
			case s.args[0] == "remove" && len(s.args) == 2:
				return 0, s.removeKey(ctx, s.args[1])
			}
			return 0, fmt.Errorf("%q: expected add [<id>] or remove <id>", strings.Join(s.args, " "))
		}),
	}
	cmd.Flags().StringSlice("buckets", nil, "patterns of the buckets that a new key may use. Default: all")
	cmd.Flags().Bool("read-only", false, "a new key may only read")
	cmd.Flags().String("expires-in", "", "how long a new key works, such as 90d or 12h. Default: for ever")
	return cmd
}

func (s *session) keys(ctx context.Context) error {
	return list(ctx, s, "/fado/keys", newTable("ACCESS KEY ID", "BUCKETS", "MAY", "EXPIRES", "ORIGIN"), func(k keyItem) []string {
		buckets, may, expires := strings.Join(k.Buckets, " "), "read and write", "never"
		if buckets == "" {
			buckets = "all"
		}
		if k.ReadOnly {
			may = "read"
		}
		if k.Expires != nil {
			expires = k.Expires.Format(time.RFC3339)
		}
		return []string{k.Name, buckets, may, expires, k.Origin}
	}, func(k keyItem) string { return k.Name })
}

func (s *session) addKey(ctx context.Context) error {
	body := map[string]any{"read_only": s.set("read-only")}
	if len(s.args) == 2 {
		body["name"] = s.args[1]
	}
	buckets, err := s.cmd.Flags().GetStringSlice("buckets")
	if err != nil {
		return err
	}
	if len(buckets) > 0 {
		body["buckets"] = buckets
	}
	text, err := s.cmd.Flags().GetString("expires-in")
	if err != nil {
		return err
	}
	if text != "" {
		in, err := caddy.ParseDuration(text)
		if err != nil || in <= 0 {
			return fmt.Errorf("--expires-in %q: expected a duration above 0, such as 90d or 12h", text)
		}
		body["expires"] = time.Now().Add(in).UTC().Format(time.RFC3339)
	}
	return show(ctx, s, client.Request{Method: http.MethodPost, Path: "/fado/keys", Body: body}, func(k keyItem) {
		s.out.say("AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s", k.Name, k.Secret)
	})
}

func (s *session) removeKey(ctx context.Context, id string) error {
	if _, err := s.api.Do(ctx, client.Request{Method: http.MethodDelete, Path: client.Path("keys", id)}, nil); err != nil {
		return err
	}
	if s.json {
		return s.out.print(map[string]string{"name": id, "state": "removed"})
	}
	s.out.say("Key %s is removed.", id)
	return nil
}
