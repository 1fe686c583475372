package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/audit"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Lists audit records", Args: cobra.NoArgs,
		Long: `
Lists audit records in order, all that there are of those that are asked for, or with
--limit so many of them; with --newest, the newest first.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) { return 0, listAudit(ctx, s) }),
	}
	auditFilterFlags(cmd)
	cmd.Flags().String("after", "", "only records behind the one of this number")
	cmd.Flags().Int("limit", 0, "the most records. Default: all")
	cmd.Flags().Bool("newest", false, "the newest first")
	cmd.AddCommand(auditExportCommand(), auditVerifyCommand(), auditKeyCommand())
	return cmd
}

// auditFilterFlags are the flags that narrow records.
func auditFilterFlags(cmd *cobra.Command) {
	for name, usage := range map[string]string{
		"since": "only records of this time (RFC 3339) or later", "until": "only records before this time", "bucket": "only records about this bucket",
		"kind": "only records of this kind",
	} {
		cmd.Flags().String(name, "", usage)
	}
}

// auditFilters are those that are given, as the API takes them.
func auditFilters(s *session) url.Values {
	query := url.Values{}
	for _, name := range []string{"since", "until", "bucket", "kind"} {
		if v := flagOf(s.cmd, name); v != "" {
			query.Set(name, v)
		}
	}
	return query
}

// listAudit lists records, page by page.
func listAudit(ctx context.Context, s *session) error {
	query, left := auditFilters(s), 0
	if after := flagOf(s.cmd, "after"); after != "" {
		query.Set("after", after)
	}
	if s.cmd.Flags().Changed("limit") {
		var err error
		if left, err = s.cmd.Flags().GetInt("limit"); err != nil || left < 1 {
			return fmt.Errorf("--limit: %q: expected 1 or more", flagOf(s.cmd, "limit"))
		}
	}
	next := "after"
	if s.set("newest") {
		query.Set("newest", "true")
		next = "before"
	}
	all := []json.RawMessage{}
	for {
		size := pages
		if left > 0 {
			size = min(pages, left-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		var page []json.RawMessage
		if err := s.api.Get(ctx, "/fado/audit", query, &page); err != nil {
			return err
		}
		all = append(all, page...)
		if len(page) < size || len(all) == left {
			break
		}
		var last struct{ Seq int64 }
		if err := json.Unmarshal(page[len(page)-1], &last); err != nil {
			return fmt.Errorf("reading the audit: %w", err)
		}
		query.Set(next, strconv.FormatInt(last.Seq, 10))
	}
	if s.json {
		return s.out.print(all)
	}
	return showAudit(s.out, all)
}

func showAudit(out printer, records []json.RawMessage) error {
	t := newTable("SEQ", "AT", "NODE", "KIND", "ACTOR", "WHAT")
	for _, text := range records {
		var r audit.Record
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("reading the audit: %w", err)
		}
		t.add(strconv.FormatInt(r.Seq, 10), wholeSeconds(r.At), r.Node, string(r.Kind), r.Actor, recorded(&r))
	}
	out.tell(t)
	return nil
}

// recordBody has the fields of all kinds of bodies that are shown.
type recordBody struct {
	Resource, Name, Action                string
	Policy                                string
	Clusters                              []string
	Event, Bucket, Prefix, From, To, Via  string
	Run, Read, Cluster, By                string
	Count, Objects, Bytes, Size           int64
	User, Role, How, Operation, Key, Note string
	State                                 audit.ActionState
	With                                  map[string]string
}

// recorded is a record for people: who or what it is about first, since a table cuts what is long.
func recorded(r *audit.Record) string {
	var b recordBody
	if json.Unmarshal(r.Body, &b) != nil {
		return string(r.Body)
	}
	rule := b.Bucket
	if b.Prefix != "" {
		rule += " " + b.Prefix
	}
	data := ""
	if b.Objects > 0 {
		data = fmt.Sprintf(", %s, %s", count(b.Objects, "object"), bytesText(b.Bytes))
	}
	switch r.Kind {
	case audit.Change:
		return b.Resource + " " + b.Name + " " + b.Action
	case audit.Allowed:
		return "policy " + b.Policy + ": " + joined(b.Clusters)
	case audit.Copy:
		return rule + " " + b.Event + " in " + b.To + behind(", from ", b.From) + data + behind(", via ", b.Via)
	case audit.Pull:
		return rule + " pulled to " + b.To + behind(", from ", b.From) + data + behind(", via ", b.Via)
	case audit.Invocations:
		return rule + ": " + strconv.FormatInt(b.Count, 10) + " ran in " + b.Run + behind(", reading in ", b.Read)
	case audit.Refused:
		return rule + ": " + strconv.FormatInt(b.Count, 10) + " refused by " + b.By + behind(" in ", b.Cluster)
	case audit.Session:
		return strings.TrimSpace(b.User+" "+b.Event+" "+b.Role+behind(" by ", b.How)) + behind(": ", strings.TrimSpace(b.Operation+" "+b.Bucket+" "+b.Key))
	case audit.Action:
		return strings.TrimSpace(b.Resource+" "+b.Name+" "+b.Action) + given(b.With) + behind(", ", string(b.State))
	case audit.Checkpoint:
		if b.Note != "" {
			return "of the records up to " + strconv.FormatInt(b.Size, 10) + ", signed"
		}
		return "of the records up to " + strconv.FormatInt(b.Size, 10)
	default:
		return string(r.Body)
	}
}

// given are the parameters of an action, in one order.
func given(with map[string]string) (text string) {
	for _, name := range slices.Sorted(maps.Keys(with)) {
		text += " " + name + "=" + with[name]
	}
	return text
}

// wholeSeconds is a record's time without the fraction, which tables have no room for.
func wholeSeconds(at string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return at
	}
	return t.Format(time.RFC3339)
}

// behind puts words before a text, if there is one.
func behind(words, text string) string {
	if text == "" {
		return ""
	}
	return words + text
}

func auditExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Prints audit records, one JSON object a line", Args: cobra.NoArgs,
		Long: `
Prints all audit records, one JSON object a line, for audit verify; or with flags those
that match, which are no whole chain and can't be verified by themselves.
`,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			r := get("/fado/audit/export")
			r.Query = auditFilters(s)
			body, err := s.api.Stream(ctx, r)
			if err != nil {
				return 0, err
			}
			defer body.Close()
			_, err = io.Copy(s.out.w, body)
			return 0, err
		}),
	}
	connectionFlags(cmd)
	auditFilterFlags(cmd)
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify <file>", Short: "Checks exported audit records, without asking anyone", Args: these(1, 1),
		Long: `
Checks exported audit records (- for standard input): that none was changed, removed,
added or moved, and that nothing was copied, pulled or run where the policy in force did
not allow it, or by way of an instance there.
With --head, the number and hash of the last record as noted elsewhere, records that
are missing at the end are found, too. With --key, the public key that audit key printed
(repeatable), checkpoints must be signed: who can write the database, and has not the
private key, can't make another chain up to the last signed checkpoint.

Exit status: 0 if nothing is wrong, 2 if something is, 1 for an error.
`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s := &session{cmd: cmd, args: args, out: printer{cmd.OutOrStdout()}, json: isSet(cmd, "json")}
			status, err := s.verifyAudit()
			return exit(cmd, args, status, err)
		},
	}
	cmd.Flags().String("head", "", "the last record's number and hash, as <seq>:<hash>")
	cmd.Flags().StringArray("key", nil, "public key that checkpoints are signed with; repeatable")
	cmd.Flags().Bool("json", false, "print the result as JSON")
	return cmd
}

func auditKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "key <name>", Short: "Makes a key that checkpoints are signed with, without asking anyone", Args: these(1, 1),
		Long: `
Makes an Ed25519 key and prints its private half, which goes where the option audit of
the configuration reads it, and its public half, which audit verify --key takes.
`,
		RunE: func(cmd *cobra.Command, args []string) error {
			private, public, err := audit.NewKey(args[0])
			if err == nil {
				s := &session{cmd: cmd, args: args, out: printer{cmd.OutOrStdout()}}
				s.out.say("private: %s\npublic:  %s", private, public)
			}
			return exit(cmd, args, 0, err)
		},
	}
}

func (s *session) verifyAudit() (status int, err error) {
	head, err := parseHead(flagOf(s.cmd, "head"))
	if err != nil {
		return 0, err
	}
	public, err := s.cmd.Flags().GetStringArray("key")
	if err != nil {
		return 0, err
	}
	keys, err := audit.ParseKeys(public...)
	if err != nil {
		return 0, fmt.Errorf("--key: %w", err)
	}
	in := s.cmd.InOrStdin()
	if name := s.args[0]; name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		in = f
	}
	r, err := audit.Verify(in, head, keys)
	if err != nil {
		return 0, err
	}
	if len(r.Problems) > 0 {
		status = exitDiffers
	}
	if s.json {
		return status, s.out.print(reportOf(r))
	}
	for _, p := range r.Problems {
		s.out.say("%s", oneLine(p.String()))
	}
	if r.More {
		s.out.say("and others")
	}
	if r.Records > 0 {
		s.out.say("%s, from %d to %d; the last one's hash is %s", count(r.Records, "record"), r.First, r.Head.Seq, r.Head.Hash)
	}
	if r.Records > 0 && r.Root == "" {
		s.out.say("What came before record %d is not in the file: which clusters policies allowed then is not known.", r.First)
	}
	if keys != nil && r.Signed > 0 {
		s.out.say("Signatures stand for the records up to %d.", r.Signed)
	}
	if status == 0 {
		s.out.say("%s", s.out.colour(green, "Nothing is wrong."))
	}
	return status, nil
}

// report is what a verification found, in the names that the API's answers have.
type report struct {
	Records  int64     `json:"records"`
	First    int64     `json:"first"`
	Head     string    `json:"head"` // as --head takes it
	Root     string    `json:"root"`
	Signed   int64     `json:"signed"`
	Problems []problem `json:"problems"`
	More     bool      `json:"more"`
}

type problem struct {
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
}

func reportOf(r *audit.Report) report {
	v := report{Records: r.Records, First: r.First, Head: fmt.Sprintf("%d:%s", r.Head.Seq, r.Head.Hash), Root: r.Root, Signed: r.Signed, Problems: []problem{}, More: r.More}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, problem(p))
	}
	return v
}

func parseHead(text string) (h audit.Head, err error) {
	if text == "" {
		return h, nil
	}
	seq, hash, ok := strings.Cut(text, ":")
	if h.Seq, err = strconv.ParseInt(seq, 10, 64); err != nil || !ok || hash == "" {
		return h, errors.Join(fmt.Errorf("--head: %q: expected <seq>:<hash>", text), err)
	}
	h.Hash = hash
	return h, nil
}
