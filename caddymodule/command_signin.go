package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func signInCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign-in [--role <role>] [--url <url>]",
		Short: "Makes a link that signs one browser in at the console, once",
		Long: `
Makes a link that signs one browser in at the console of the running instance, once,
within five minutes. Anyone who may use Caddy's admin endpoint may make one.

With --url, where the console is, the whole link is printed; without it what goes
after the console's address.
`,
		Args: cobra.NoArgs,
		RunE: runSignIn,
	}
	cmd.Flags().String("role", "admin", "viewer, operator or admin")
	cmd.Flags().String("url", "", "where the console is, such as https://console.example.org/")
	cmd.Flags().String("address", "", "the address of Caddy's admin endpoint")
	cmd.Flags().String("config", "", "a configuration that names it")
	cmd.Flags().String("adapter", "", "the adapter of that configuration")
	return cmd
}

func runSignIn(cmd *cobra.Command, _ []string) error {
	address, err := caddycmd.DetermineAdminAPIAddress(flagText(cmd, "address"), nil, flagText(cmd, "config"), flagText(cmd, "adapter"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"role": flagText(cmd, "role"), "url": flagText(cmd, "url")})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodPost, "/fado/console/links", header, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var made struct{ Link string }
	if err := json.Unmarshal(text, &made); err != nil || made.Link == "" {
		return errors.New("the answer has no link in it: is this instance older than this command?")
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Link)
	return err
}
