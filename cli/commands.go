package cli

import "github.com/spf13/cobra"

// Commands returns the commands.
func Commands() []*cobra.Command {
	all := []*cobra.Command{
		statusCommand(), bucketsCommand(), bucketCommand(), clustersCommand(), policiesCommand(), zonesCommand(), routeCommand(),
		planCommand(), applyCommand(), exportCommand(),
		syncCommand(), verifyCommand(), drainCommand(), undrainCommand(), rebalanceCommand(), promoteCommand(), placementCommand(), nodesCommand(),
		objectsCommand(), pendingCommand(), conflictsCommand(), deletesCommand(), failuresCommand(),
		checkCommand(), trustCommand(), releaseCommand(), forgetCommand(), purgesCommand(), abandonCommand(),
		pauseCommand(), resumeCommand(), eventsCommand(), auditCommand(), keysCommand(),
	}
	for _, cmd := range all {
		connectionFlags(cmd)
		completeArguments(cmd)
		cmd.Flags().Bool("json", false, "print what the API answers, as JSON")
	}
	return all
}
