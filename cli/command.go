package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// connectionFlags are those of Caddy's own commands that ask a running Caddy.
func connectionFlags(cmd *cobra.Command) {
	cmd.Flags().String("address", "", "address of the admin endpoint. Default: that of the configuration, else localhost:2019")
	cmd.Flags().StringP("config", "c", "", "configuration file to take the address of the admin endpoint from")
	cmd.Flags().StringP("adapter", "a", "", "adapter of that configuration file")
}

// exitDiffers is the status of a command that found something to do, or not as it should be.
const exitDiffers = 2

// session is one run of a command.
type session struct {
	api  *client.Client
	cmd  *cobra.Command
	args []string
	json bool
	out  printer
	// moved is what a watch has seen of the work that it waits for.
	moved progress
}

// run makes a command's RunE: f returns the exit status, 0 where it returns an error.
func run(f func(ctx context.Context, s *session) (int, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		s := &session{cmd: cmd, args: args, out: printer{cmd.OutOrStdout()}, json: cmd.Flags().Lookup("json") != nil && isSet(cmd, "json")}
		status := 0
		err := s.connect()
		if err == nil {
			status, err = f(ctx, s)
		}
		return exit(cmd, args, status, err)
	}
}

// exit ends a command with a status, or with an error.
func exit(cmd *cobra.Command, args []string, status int, err error) error {
	if err != nil || status == 0 {
		return err
	}
	cmd.SilenceErrors = true // a status is an answer, no error
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, args)
}

// flagOf returns a flag's value as text.
func flagOf(cmd *cobra.Command, name string) string { return cmd.Flags().Lookup(name).Value.String() }

func isSet(cmd *cobra.Command, name string) bool { return flagOf(cmd, name) == "true" }

func (s *session) set(name string) bool { return isSet(s.cmd, name) }

// dialTimeout bounds how long it takes to find out that nobody answers at an address.
const dialTimeout = 10 * time.Second

// connect finds the admin endpoint as Caddy's own commands do.
func (s *session) connect() error {
	text, err := caddycmd.DetermineAdminAPIAddress(flagOf(s.cmd, "address"), nil, flagOf(s.cmd, "config"), flagOf(s.cmd, "adapter"))
	if err != nil {
		return fmt.Errorf("finding the admin endpoint: %w", err)
	}
	addr, err := caddy.ParseNetworkAddress(text)
	if err != nil || addr.PortRangeSize() > 1 || strings.Contains(text, "://") {
		return fmt.Errorf("--address: %q: expected one address, such as localhost:2019 or unix//run/caddy.sock", text)
	}
	s.api = &client.Client{URL: "http://" + addr.JoinHostPort(0)}
	if addr.IsUnixNetwork() {
		addr.Host, _, _ = strings.Cut(addr.Host, "|") // the socket's permissions, as configurations have them
		s.api.URL = "http://127.0.0.1"                // a socket's path is no host, and Caddy wants no Origin there
	} else {
		s.api.Header = http.Header{"Origin": {s.api.URL}}
	}
	s.api.HTTP = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, addr.Network, addr.JoinHostPort(0))
		},
	}}
	return nil
}

// read reads what is at a path, and prints it where that is wanted as JSON.
func read[T any](ctx context.Context, s *session, r client.Request) (v T, err error) {
	var raw json.RawMessage
	if _, err := s.api.Do(ctx, r, &raw); err != nil {
		return v, err
	}
	if s.json {
		if err := s.out.print(raw); err != nil {
			return v, err
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("reading the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return v, nil
}

// show reads what is at a path and prints it: as JSON, or by f.
func show[T any](ctx context.Context, s *session, r client.Request, f func(T)) error {
	if s.json {
		_, err := read[any](ctx, s, r)
		return err
	}
	v, err := read[T](ctx, s, r)
	if err == nil {
		f(v)
	}
	return err
}

// noFiles refuses arguments where documents are given by -f.
func noFiles(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q: expected documents behind -f: %s -f %s", args[0], cmd.CommandPath(), args[0])
	}
	return nil
}

// these returns a check for arguments by number, whose error says which they are.
func these(atLeast, atMost int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < atLeast || len(args) > atMost {
			return fmt.Errorf("%s: expected %s", count(int64(len(args)), "argument"), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}

// get is the request that reads what is at a path.
func get(path string) client.Request { return client.Request{Method: http.MethodGet, Path: path} }

// post is the request that has something done.
func post(path string) client.Request { return client.Request{Method: http.MethodPost, Path: path} }
