package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [--config <path>] [--adapter <name>] [--offline]",
		Short: "Checks a configuration, with --offline without its secrets",
		Long: `
Checks a configuration as "caddy validate" does. With --offline, placeholders
{env.X} and {file.X} that stand for nothing here are taken for some text, so that
a configuration can be checked where its secrets are not, such as in CI. Those
that were not looked at are listed. A placeholder for what can't be any text, such
as a port, has to stand for something even then.
`,
		Args: cobra.NoArgs,
		RunE: runValidate,
	}
	cmd.Flags().String("config", "Caddyfile", "the configuration file")
	cmd.Flags().String("adapter", "", "the name of the config adapter; default: by the file's name")
	cmd.Flags().Bool("offline", false, "go on without secrets that are not there")
	return cmd
}

func runValidate(cmd *cobra.Command, _ []string) error {
	file := flagText(cmd, "config")
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	text, _, _, err := caddycmd.LoadConfig(file, flagText(cmd, "adapter"))
	if err != nil {
		return err
	}
	text = caddy.RemoveMetaFields(text)
	var missing []string
	if flagText(cmd, "offline") == "true" {
		text, missing = withoutSecrets(text)
	}
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(text, &cfg); err != nil {
		return fmt.Errorf("decoding config: %w", err)
	}
	if err := caddy.Validate(cfg); err != nil {
		return err
	}
	result := "Valid configuration\n"
	if len(missing) > 0 {
		result = "Valid configuration, whatever these stand for: " + strings.Join(missing, ", ") + "\n"
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), result)
	return err
}

// someSecret stands for a secret that is not there: long enough for a key.
const someSecret = "not-known-offline-0123456789abcdef"

// withoutSecrets replaces the placeholders in a configuration that stand for nothing here,
// and lists them. What the option secrets has are patterns, and stays.
func withoutSecrets(config []byte) (text []byte, missing []string) {
	from, to := patternsIn(config)
	replace := func(part []byte) {
		text = append(text, anyPlaceholder.ReplaceAllFunc(part, func(p []byte) []byte {
			if standsForSomething(string(p)) {
				return p
			}
			if !slices.Contains(missing, string(p)) {
				missing = append(missing, string(p))
			}
			return []byte(someSecret)
		})...)
	}
	replace(config[:from])
	text = append(text, config[from:to]...)
	replace(config[to:])
	slices.Sort(missing)
	return text, missing
}

// patternsIn returns from where to where the option secrets is in a configuration; from 0 to 0
// where it is not.
func patternsIn(config []byte) (from, to int) {
	to = len(config)
	for _, name := range []string{"apps", appName, "secrets"} {
		dec := json.NewDecoder(bytes.NewReader(config[from:to]))
		if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
			return 0, 0
		}
		for found := false; !found; {
			var value json.RawMessage
			member, err := dec.Token()
			if err != nil || !dec.More() || dec.Decode(&value) != nil {
				return 0, 0 // the end, or no JSON
			}
			if found = member == name; found {
				end := from + int(dec.InputOffset())
				from, to = end-len(value), end
			}
		}
	}
	return from, to
}

// standsForSomething says whether a placeholder can be replaced here. Caddy logs an error about
// a file that is not there, which offline is none.
func standsForSomething(placeholder string) bool {
	if file, ok := strings.CutPrefix(placeholder, "{file."); ok {
		if _, err := os.Stat(strings.TrimSuffix(file, "}")); err != nil {
			return false
		}
	}
	_, err := replaced(placeholder)
	return err == nil
}
