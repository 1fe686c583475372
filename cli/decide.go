package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// deciding makes a command that changes what can't be taken back, or gives something up: it asks
// first, unless --yes is given.
func deciding(use, short, long string, args cobra.PositionalArgs, f func(ctx context.Context, s *session) error) *cobra.Command {
	cmd := simple(use, short, args, f)
	cmd.Long = long
	cmd.Flags().Bool("yes", false, "do not ask")
	return cmd
}

func trustCommand() *cobra.Command {
	return deciding("trust <bucket> <cluster>", "Says whose data is right, of a bucket that is stopped", `
Says which side is right, of a bucket that is stopped because the storage of its primary
may not be the one that it was: the primary's cluster, which copies then follow, or that of
a whole copy, which then becomes the primary.
`, these(2, 2), func(ctx context.Context, s *session) error {
		bucket, cluster := s.args[0], s.args[1]
		if err := s.confirm(ctx, fmt.Sprintf("Is what %s has of %s right, so that the others follow it?", cluster, bucket)); err != nil {
			return err
		}
		r := post(client.Path("buckets", bucket, "trust"))
		r.Query = url.Values{"cluster": {cluster}}
		return show(ctx, s, r, func(any) {
			s.out.say("%s goes on by what %s has; all copies are compared.", bucket, cluster)
		})
	})
}

func releaseCommand() *cobra.Command {
	return deciding("release <bucket> <cluster>", "Removes the older versions that keep a copy from leaving a cluster", `
Removes for good the older versions that a copy hides which is being removed from a cluster
where the bucket's policy does not allow it any more. They may be in no copy that remains.
`, these(2, 2), func(ctx context.Context, s *session) error {
		bucket, cluster := s.args[0], s.args[1]
		if err := s.confirm(ctx, fmt.Sprintf("Remove the older versions of %s in %s for good? They may be nowhere else.", bucket, cluster)); err != nil {
			return err
		}
		r := post(client.Path("buckets", bucket, "release"))
		r.Body = map[string]string{"purge": "history", "cluster": cluster}
		return show(ctx, s, r, func(v struct{ Objects int64 }) {
			s.out.say("Versions of %s are gone from %s, and the copy goes.", count(v.Objects, "object"), cluster)
		})
	})
}

func forgetCommand() *cobra.Command {
	cmd := deciding("forget <bucket>", "Forgets a bucket; its data stays, unless --purge says otherwise", `
Forgets a bucket. Its data stays where it is. With --purge copies what FaDO keeps outside of
the primary is removed, with --purge all the primary's, too: caddy fado purges shows how far
that is.
`, these(1, 1), func(ctx context.Context, s *session) error {
		bucket, purge := s.args[0], flagOf(s.cmd, "purge")
		question, r := "Forget "+bucket+"? Its data stays.", client.Request{Method: http.MethodDelete, Path: client.Path("buckets", bucket)}
		switch purge {
		case "":
		case "copies", "all":
			r.Query = url.Values{"purge": {purge}}
			question = map[string]string{
				"copies": "Forget " + bucket + ", and remove all its copies but the primary's?",
				"all":    "Forget " + bucket + ", and remove all of its data for good?",
			}[purge]
		default:
			return fmt.Errorf("--purge: %q: expected copies or all", purge)
		}
		if err := s.confirm(ctx, question); err != nil {
			return err
		}
		return s.removed(ctx, r, bucket+" is forgotten")
	})
	cmd.Flags().String("purge", "", "also remove data: copies (all but the primary's) or all")
	return cmd
}

// removed makes a request that removes an item, which has an answer only where there is more to tell.
func (s *session) removed(ctx context.Context, r client.Request, what string) error {
	resp, err := s.api.Stream(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Close()
	var more struct{ Removes string }
	raw := json.RawMessage("{}")
	if err := json.NewDecoder(resp).Decode(&raw); err == nil {
		if err := json.Unmarshal(raw, &more); err != nil {
			return fmt.Errorf("reading the answer to %s %s: %w", r.Method, r.Path, err)
		}
	}
	switch {
	case s.json:
		return s.out.print(raw)
	case more.Removes != "":
		s.out.say("%s; being removed: %s.", what, more.Removes)
	default:
		s.out.say("%s.", what)
	}
	return nil
}

// abandonment is what would be given up with a cluster.
type abandonment struct {
	Cluster        string
	Answers        bool
	Objects, Bytes int64
	Buckets        []struct {
		Bucket, Heir, Reason string
		Primary              bool
		Objects, Bytes       int64
	}
}

func abandonCommand() *cobra.Command {
	return deciding("abandon <cluster>", "Gives a cluster up whose storage is lost for good", `
Deletes a cluster whose storage is lost for good, after it listed what would be lost with
it. Buckets that were written there get the best of their copies as the primary.
`, these(1, 1), func(ctx context.Context, s *session) error {
		cluster := s.args[0]
		r := client.Request{Method: http.MethodDelete, Path: client.Path("clusters", cluster), Query: url.Values{"abandon": {"true"}}}
		lost, err := wouldBeLost(ctx, s.api, r)
		if err != nil {
			return err
		}
		if !s.json {
			lost.show(s.out)
		}
		question := fmt.Sprintf("Give up %s, and with it %s (%s) that are nowhere else?", cluster, count(lost.Objects, "object"), bytesText(lost.Bytes))
		if err := s.confirm(ctx, question); err != nil {
			return err
		}
		r.Query.Set("confirm", cluster)
		return s.removed(ctx, r, cluster+" is given up")
	})
}

// wouldBeLost asks what a request that is not confirmed would give up.
func wouldBeLost(ctx context.Context, api *client.Client, r client.Request) (*abandonment, error) {
	_, err := api.Do(ctx, r, nil)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		return nil, err
	}
	lost := new(abandonment)
	if json.Unmarshal(refused.Body, lost) != nil || lost.Cluster == "" {
		return nil, err // refused for another reason
	}
	return lost, nil
}

func (a *abandonment) show(out printer) {
	if a.Answers {
		out.say("%s", out.colour(yellow, "Its storage answers: caddy fado drain "+a.Cluster+" loses nothing."))
	}
	t := newTable("BUCKET", "PRIMARY", "HEIR", "LOST", "BYTES", "WHY")
	for _, b := range a.Buckets {
		t.add(b.Bucket, yes(b.Primary), orDash(b.Heir), strconv.FormatInt(b.Objects, 10), bytesText(b.Bytes), b.Reason)
	}
	out.tell(t)
}
