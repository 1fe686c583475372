package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

func filesFlag(cmd *cobra.Command) {
	cmd.Flags().StringArrayP("file", "f", nil, "document, directory of documents, or - for standard input; repeatable")
}

func planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan -f <file or directory>",
		Short: "Shows what a document would change, move, cost and break",
		Long: `
Shows what a document in JSON or YAML would change, and what that would move, cost
and break. Nothing is changed. Several files are one document.

Exit status: 0 if there is nothing to do, 2 if there are changes, 1 for an error.
`,
		Args: noFiles,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			doc, where, err := s.document()
			if err != nil {
				return 0, err
			}
			p, err := s.plan(ctx, doc)
			if err != nil {
				return 0, where(err)
			}
			if s.json {
				err = s.out.print(p)
			} else {
				s.out.showPlan(p)
			}
			if err == nil && len(p.Changes) > 0 {
				return exitDiffers, nil
			}
			return 0, err
		}),
	}
	filesFlag(cmd)
	return cmd
}

// plan asks for what is shown of a plan: for programs all, for people the beginning.
func (s *session) plan(ctx context.Context, doc client.Document) (*client.Plan, error) {
	if s.json {
		return s.api.WholePlan(ctx, doc)
	}
	return s.api.Plan(ctx, doc, client.PlanPage{})
}

func (s *session) document() (client.Document, func(error) error, error) {
	files, err := s.cmd.Flags().GetStringArray("file")
	if err != nil || len(files) == 0 {
		return client.Document{}, nil, errors.Join(errors.New("-f: not given: expected a document, a directory of documents, or - for standard input"), err)
	}
	return readDocument(files, s.cmd.InOrStdin())
}

func applyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f <file or directory>",
		Short: "Makes the changes that a document asks for, all of them or none",
		Long: `
Shows the plan of a document in JSON or YAML, asks, and carries exactly that plan out,
in one transaction. If anything was changed in between, nothing is done.
`,
		Args: noFiles,
		RunE: run(func(ctx context.Context, s *session) (int, error) { return 0, s.apply(ctx) }),
	}
	filesFlag(cmd)
	cmd.Flags().BoolP("yes", "y", false, "do not ask")
	return cmd
}

func (s *session) apply(ctx context.Context) error {
	doc, where, err := s.document()
	if err != nil {
		return err
	}
	p, err := s.api.Plan(ctx, doc, client.PlanPage{})
	if err != nil {
		return where(err)
	}
	if !s.json {
		s.out.showPlan(p)
	}
	if len(p.Changes) > 0 && !p.Blocked {
		if err := s.confirm(ctx, "Apply these changes?"); err != nil {
			return err
		}
	}
	done, err := s.api.Apply(ctx, doc, p.ETag)
	if told, ok := errors.AsType[*client.Error](err); ok && told.Status == http.StatusPreconditionFailed {
		return fmt.Errorf("the catalogue was changed since this plan was made, for revision %d: nothing was done; look at a new plan (%w)", p.Revision, err)
	}
	if err != nil {
		return where(err)
	}
	if s.json {
		return s.out.print(done)
	}
	s.out.say("Applied: %s. The catalogue's revision is %d.", count(int64(done.Changes), "change"), done.Revision)
	return nil
}

// confirm asks, unless --yes was given.
func (s *session) confirm(ctx context.Context, question string) error {
	if s.set("yes") {
		return nil
	}
	if !terminal(s.cmd.InOrStdin()) {
		return errors.New("standard input is no terminal to ask at: give --yes to go on without being asked")
	}
	s.cmd.PrintErrf("%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() { // until the process ends: a terminal is not read with a bound
		line, _ := bufio.NewReader(s.cmd.InOrStdin()).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
	case <-ctx.Done():
		s.cmd.PrintErrln()
	}
	return errors.New("not confirmed: nothing was changed")
}

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Prints the catalogue as a document, in YAML or with --json in JSON",
		Args:  cobra.NoArgs,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			format := "yaml"
			if s.json {
				format = "json"
			}
			return 0, s.api.Export(ctx, s.out.w, format, s.set("all"))
		}),
	}
	cmd.Flags().Bool("all", false, "also what the configuration declares")
	return cmd
}

// maxShown is how many moves, links or violations are listed for people.
const maxShown = 20

// showPlan prints a plan for people.
func (out printer) showPlan(p *client.Plan) {
	if len(p.Changes) == 0 {
		out.say("Nothing to change. The catalogue's revision is %d.", p.Revision)
	} else {
		out.showChanges(p.Changes, p.ChangesTotal)
		out.showMoves(&p.Moves)
		out.showRoutes(&p.Routes)
	}
	for i, v := range p.Violations {
		if i == maxShown {
			out.say("and %d more; --json lists them", len(p.Violations)-maxShown)
			break
		}
		mark := out.colour(yellow, "note")
		if v.Blocking {
			mark = out.colour(red, "blocks")
		}
		out.say("%s: %s: %s", mark, v.Resource, oneLine(v.Detail))
	}
}

func (out printer) showChanges(changes []client.Change, total int) {
	for _, c := range changes {
		mark := map[string]string{"create": out.colour(green, "+"), "update": out.colour(yellow, "~"), "delete": out.colour(red, "-")}[c.Action]
		out.say("%s %s %s", mark, c.Kind, oneLine(c.Name))
		for _, f := range c.Fields {
			line := f.Path + ": " + string(f.To)
			if c.Action == "update" {
				line = f.Path + ": " + valueText(f.From) + " → " + valueText(f.To)
			}
			out.say("    %s", cut(line, out.columns()-4))
		}
	}
	if more := total - len(changes); more > 0 {
		out.say("and %s more; plan --json lists them", count(int64(more), "change"))
	}
}

func valueText(v json.RawMessage) string {
	if len(v) == 0 || string(v) == "null" {
		return "(none)"
	}
	return string(v)
}

func (out printer) showMoves(m *client.Moves) {
	t := &m.Total
	if t.Copies == 0 && m.Removed.Copies == 0 && t.Buckets == 0 {
		out.say("No data moves.")
		return
	}
	about := ""
	if t.Estimated {
		about = " (estimated: not everything was counted yet)"
	}
	out.say("Moves: %s of %s: %s, %s%s; %s to %s.", count(t.Copies, "copy"), count(t.Buckets, "bucket"), count(t.Objects, "object"),
		bytesText(t.Bytes), about, secondsText(t.Seconds.Low), secondsText(t.Seconds.High))
	out.say("Removes: %s: %s, %s.", count(m.Removed.Copies, "copy"), count(m.Removed.Objects, "object"), bytesText(m.Removed.Bytes))
	if t.Egress != 0 || t.StoragePerMonth != 0 {
		out.say("Costs: %s once for what leaves clusters, %s more a month for storage.", money(t.Egress), money(t.StoragePerMonth))
	}
	out.showLinks(m.Links)
	out.showBuckets(m.Buckets, m.Next != "")
}

func (out printer) showLinks(links []client.Link) {
	if len(links) == 0 {
		return
	}
	t := newTable("FROM", "TO", "BYTES", "RATE", "RATE IS", "TIME", "EGRESS")
	for _, l := range links[:min(len(links), maxShown)] {
		t.add(l.From, l.To, bytesText(l.Bytes), bytesText(int64(l.Rate))+"/s", l.RateSource, secondsText(l.Seconds), money(l.Egress))
	}
	out.tell(t)
}

func (out printer) showBuckets(buckets []client.BucketMove, more bool) {
	if len(buckets) == 0 {
		return
	}
	t := newTable("BUCKET", "PREFIX", "ADD", "REMOVE", "PRIMARY", "OBJECTS", "BYTES")
	for _, b := range buckets[:min(len(buckets), maxShown)] {
		primary := "–"
		if b.Primary != nil {
			primary = orDash(b.Primary.From) + " → " + orDash(b.Primary.To)
		}
		t.add(b.Bucket, orDash(b.Prefix), joined(b.Add), joined(b.Remove), primary, fmt.Sprint(b.Objects), bytesText(b.Bytes))
	}
	out.tell(t)
	if more || len(buckets) > maxShown {
		out.say("There are more; plan --json lists them.")
	}
}

func (out printer) showRoutes(r *client.Routes) {
	if r.Changed == 0 {
		return
	}
	out.say("Routing changes for %s: %d → %d can be served where their data is, %d → %d are refused.",
		count(r.Changed, "rule"), r.Local.Before, r.Local.After, r.Refused.Before, r.Refused.After)
}
