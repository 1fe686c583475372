package cli

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// completeTime bounds how long a shell waits for names.
	completeTime = 2 * time.Second
	// mostNames is how many it is told.
	mostNames = 200
)

// completeArguments completes a command's arguments by how its use names them: buckets and clusters
// by what the running FaDO has, and words of a choice.
func completeArguments(cmd *cobra.Command) {
	words := strings.Fields(cmd.Use)[1:]
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(words) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		switch word := strings.Trim(words[len(args)], "<>[]."); {
		case word == "bucket" || word == "cluster":
			return namesOf(cmd, word, typed), cobra.ShellCompDirectiveNoFileComp
		case strings.Contains(word, "|"):
			return strings.Split(word, "|"), cobra.ShellCompDirectiveNoFileComp
		default:
			return nil, cobra.ShellCompDirectiveDefault
		}
	}
}

// namesOf asks for the names of buckets or clusters that begin as typed. Where nobody answers there
// are none: a shell shows no errors.
func namesOf(cmd *cobra.Command, kind, typed string) (names []string) {
	s := &session{cmd: cmd}
	if s.connect() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
	defer cancel()
	query := url.Values{"limit": {strconv.Itoa(mostNames)}}
	if kind == "bucket" {
		query.Set("q", typed)
	}
	var items []struct{ Name string }
	if s.api.Get(ctx, "/fado/"+kind+"s", query, &items) != nil {
		return nil
	}
	for _, item := range items {
		if strings.HasPrefix(item.Name, typed) {
			names = append(names, item.Name)
		}
	}
	return names
}
