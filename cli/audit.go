package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/audit"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Lists audit records", Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			r := get("/fado/audit")
			r.Query = url.Values{}
			for _, name := range []string{"since", "until", "bucket", "kind", "limit", "after"} {
				if v := flagOf(s.cmd, name); v != "" {
					r.Query.Set(name, v)
				}
			}
			return 0, show(ctx, s, r, s.showAudit)
		}),
	}
	for name, usage := range map[string]string{
		"since": "only records of this time (RFC 3339) or later", "until": "only records before this time", "bucket": "only records about this bucket",
		"kind": "only records of this kind", "limit": "the most records", "after": "only records behind the one of this number",
	} {
		cmd.Flags().String(name, "", usage)
	}
	cmd.AddCommand(auditExportCommand(), auditVerifyCommand(), auditKeyCommand())
	return cmd
}

func (s *session) showAudit(records []audit.Record) {
	t := newTable("SEQ", "AT", "NODE", "KIND", "ACTOR", "WHAT")
	for _, r := range records {
		t.add(strconv.FormatInt(r.Seq, 10), r.At, r.Node, string(r.Kind), r.Actor, bodyText(r.Body))
	}
	s.tell(t)
}

// bodyText is a body for people: its values, without names and what is empty.
func bodyText(body json.RawMessage) string {
	text := strings.NewReplacer(`"`, "", "{", "", "}", "").Replace(string(body))
	var words []string
	for w := range strings.SplitSeq(text, ",") {
		if !strings.HasSuffix(w, ":") {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

func auditExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Prints all audit records, one JSON object a line", Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, s *session) (int, error) {
			body, err := s.Stream(ctx, get("/fado/audit/export"))
			if err != nil {
				return 0, err
			}
			defer body.Close()
			_, err = io.Copy(s.cmd.OutOrStdout(), body)
			return 0, err
		}),
	}
	connectionFlags(cmd)
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
			s := &session{cmd: cmd, args: args, json: isSet(cmd, "json")}
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
				s := &session{cmd: cmd, args: args}
				s.say("private: %s\npublic:  %s", private, public)
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
		return status, s.print(r)
	}
	for _, p := range r.Problems {
		s.say("%s", oneLine(p.String()))
	}
	if r.More {
		s.say("and others")
	}
	s.say("%s, from %d to %d; the last one's hash is %s", count(r.Records, "record"), r.First, r.Head.Seq, orDash(r.Head.Hash))
	if r.Records > 0 && r.Root == "" {
		s.say("What came before record %d is not in the file: which clusters policies allowed then is not known.", r.First)
	}
	if keys != nil && r.Signed > 0 {
		s.say("Signatures stand for the records up to %d.", r.Signed)
	}
	if status == 0 {
		s.say("%s", s.colour(green, "Nothing is wrong."))
	}
	return status, nil
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
