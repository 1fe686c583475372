// Package cli has the commands of "caddy fado" that work through the admin API of a running
// FaDO: what people do by hand, as tables for people and JSON for scripts.
//
// A command asks by [client] and prints; it decides nothing and knows nothing of what answers.
// Tables fit 100 columns; --json prints what the API answered. Errors are the API's own, on
// standard error; the exit status is 0 for success and 1 for an error, and 2 where a plan has
// changes or something is not as it should be.
package cli
