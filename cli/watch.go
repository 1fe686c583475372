package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// watchEvery is how often --watch looks.
const watchEvery = time.Second

func watchFlag(cmd *cobra.Command) {
	cmd.Flags().BoolP("watch", "w", false, "show it again every second, until it is done")
}

// listing makes a command that lists something, with --watch again and again. f reports
// whether what is listed needs no more waiting for.
func listing(use, short string, f func(ctx context.Context, s *session) (done bool, err error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: run(func(ctx context.Context, s *session) (int, error) {
		return s.watched(ctx, func(ctx context.Context) (int, bool, error) {
			done, err := f(ctx, s)
			return 0, done, err
		})
	})}
	watchFlag(cmd)
	return cmd
}

// watched runs a look once, or with --watch until it is done or the user ends it.
func (s *session) watched(ctx context.Context, look func(context.Context) (status int, done bool, err error)) (int, error) {
	for {
		if s.set("watch") && !s.json && terminal(s.out.w) {
			s.out.say("\x1b[H\x1b[2J%s", time.Now().Format(time.TimeOnly)) // from the top
		}
		status, done, err := look(ctx)
		if ctx.Err() != nil && s.set("watch") {
			return status, nil // the user has seen enough
		}
		if err != nil || done || !s.set("watch") {
			return status, err
		}
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return status, nil // the user has seen enough
		}
	}
}

// showMap prints an answer of a few values.
func (out printer) showMap(v map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		text, err := json.Marshal(v[name])
		if err != nil {
			continue
		}
		out.say("%s: %s", name, text)
	}
}

func eventsCommand() *cobra.Command {
	cmd := simple("events", "Shows events as they happen: changes, copies, transfers, storages", cobra.NoArgs, func(ctx context.Context, s *session) error {
		types, err := s.cmd.Flags().GetStringSlice("type")
		if err != nil {
			return err
		}
		r := get("/fado/events")
		r.Query = url.Values{"type": types, "bucket": {flagOf(s.cmd, "bucket")}}
		for {
			err := s.events(ctx, r)
			if ctx.Err() != nil {
				return nil // the user has seen enough
			}
			if err != nil {
				return err
			}
			s.cmd.PrintErrln("The stream has ended, by a reload for instance; asking for another one. What happened in between is missing.")
			select {
			case <-time.After(watchEvery):
			case <-ctx.Done():
				return nil
			}
		}
	})
	cmd.Flags().StringSlice("type", nil, "only events of these types: copy, transfer, bucket_stuck, …")
	cmd.Flags().String("bucket", "", "only events about a bucket")
	return cmd
}

// events prints the events of one stream, until it ends.
func (s *session) events(ctx context.Context, r client.Request) error {
	body, err := s.api.Stream(ctx, r)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
			s.event(strings.TrimSpace(data))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	return nil
}

// event prints one event on a line.
func (s *session) event(data string) {
	if s.json {
		s.out.say("%s", data)
		return
	}
	var e struct {
		Type, Op, Kind, Name, Bucket, Key, Cluster, From, URL, State, Reason string

		Time time.Time
	}
	if json.Unmarshal([]byte(data), &e) != nil {
		return
	}
	words := []string{e.Time.Local().Format(time.TimeOnly), e.Type}
	for _, w := range []string{e.Op, e.Kind, e.Name, e.Bucket, e.Key, e.State} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Cluster != "" {
		words = append(words, "in "+e.Cluster)
	}
	if e.From != "" {
		words = append(words, "from "+e.From)
	}
	for _, w := range []string{e.URL, e.Reason} {
		if w != "" {
			words = append(words, w)
		}
	}
	s.out.say("%s", oneLine(strings.Join(words, " ")))
}
