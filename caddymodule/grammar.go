package caddymodule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/catalog"
)

// option is one line of a Caddyfile block: how often it may be given, how many
// arguments it takes, and what is done with them.
type option struct {
	// usage is the option with its arguments, as errors show it: "parent <zone>".
	usage string
	// min and max number of arguments; max -1 for any number.
	min, max int
	// many: the option may be repeated. opens: it may be followed by a block.
	many, opens bool
	// set takes the arguments; d stands at the last of them, a block may follow.
	set func(d *caddyfile.Dispenser, args []string) error
	// raw, when set, is used instead: d stands at the option's name, and raw parses
	// the rest of the segment itself.
	raw func(d *caddyfile.Dispenser) error
}

// options are the lines a block may have, by name.
type options map[string]option

// names lists the options for an error message.
func (o options) names() string {
	return strings.Join(slices.Sorted(maps.Keys(o)), ", ")
}

// positions remembers where in the Caddyfile a field was given, so that validation,
// which comes after parsing, can still name file and line. Keys are the fields of
// catalog.Violation: "cluster c1", "cluster c1: storage.endpoint".
type positions map[string]caddyfile.Dispenser

// of returns where a field was given, or the nearest thing around it.
func (p positions) of(field string) *caddyfile.Dispenser {
	item, path, _ := strings.Cut(field, ": ")
	for path != "" {
		if at, ok := p[item+": "+path]; ok {
			return &at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	at, ok := p[item]
	if !ok {
		at = p[""]
	}
	return &at
}

// parseBlock reads the block that follows d, if there is one. what names the block
// in errors ("cluster c1"), path is put before the options' names in at.
func parseBlock(d *caddyfile.Dispenser, what, path string, at positions, opts options) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		opt, ok := opts[name]
		if !ok {
			return d.Errf("unknown option %q in %s: expected one of %s", name, what, opts.names())
		}
		if seen[name] && !opt.many {
			return d.Errf("%q is given twice in %s: expected it once", name, what)
		}
		seen[name] = true
		if !opt.many {
			at[path+name] = *d
		}
		if err := parseOption(d, opt); err != nil {
			return err
		}
	}
	return nil
}

// parseOption reads one option; d stands at its name.
func parseOption(d *caddyfile.Dispenser, opt option) error {
	if opt.raw != nil {
		return opt.raw(d)
	}
	args := d.RemainingArgs()
	if len(args) < opt.min || opt.max >= 0 && len(args) > opt.max {
		return d.Errf("wrong number of arguments: expected %s", opt.usage)
	}
	if !opt.opens && blockFollows(d) {
		return d.Errf("unexpected block: expected %s", opt.usage)
	}
	return opt.set(d, args)
}

// blockFollows says whether the next token opens a block on this line.
func blockFollows(d *caddyfile.Dispenser) bool {
	peek := *d
	line, file := peek.Line(), peek.File()
	return peek.Next() && peek.Val() == "{" && peek.Line() == line && peek.File() == file
}

// text is an option with one argument that is kept as it is. It can't be empty: what
// is not wanted is left out.
func text(usage string, v *string) option {
	return option{usage: usage, min: 1, max: 1, set: func(d *caddyfile.Dispenser, args []string) error {
		if args[0] == "" {
			return d.Errf("empty value: expected %s", usage)
		}
		*v = args[0]
		return nil
	}}
}

// list is an option with one or more arguments.
func list(usage string, v *[]string) option {
	return option{usage: usage, min: 1, max: -1, set: func(_ *caddyfile.Dispenser, args []string) error {
		*v = args
		return nil
	}}
}

// present is an option without arguments.
func present(name string, v *bool) option {
	return option{usage: name + " without arguments", set: func(*caddyfile.Dispenser, []string) error {
		*v = true
		return nil
	}}
}

// value is an option with one argument that a function reads.
func value[T any](usage string, v *T, parse func(string) (T, error)) option {
	return option{usage: usage, min: 1, max: 1, set: func(d *caddyfile.Dispenser, args []string) error {
		parsed, err := parse(args[0])
		if err != nil {
			return d.Errf("%s: %w", strings.Fields(usage)[0], err)
		}
		*v = parsed
		return nil
	}}
}

// label is the repeatable option "label <key> <value>".
func label(labels *map[string]string) option {
	return option{usage: "label <key> <value>", min: 2, max: 2, many: true, set: func(d *caddyfile.Dispenser, args []string) error {
		if _, ok := (*labels)[args[0]]; ok {
			return d.Errf("label %q is given twice: expected it once", args[0])
		}
		if *labels == nil {
			*labels = make(map[string]string)
		}
		(*labels)[args[0]] = args[1]
		return nil
	}}
}

// parser fills an App in and remembers where everything was given.
type parser struct {
	app *App
	at  positions
}

// count reads a number from 1.
func count(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q: expected a number from 1", s)
	}
	return n, nil
}

// weight reads the weight of a function endpoint.
func weight(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > catalog.MaxWeight {
		return 0, fmt.Errorf("%q: expected a number from 1 to %d", s, catalog.MaxWeight)
	}
	return n, nil
}

// positive narrows a parser to values above zero.
func positive[T ~int64](parse func(string) (T, error), expected string) func(string) (T, error) {
	return func(s string) (T, error) {
		v, err := parse(s)
		if err != nil {
			return 0, err
		}
		if v <= 0 {
			return 0, fmt.Errorf("%q: expected %s", s, expected)
		}
		return v, nil
	}
}

// oneOf reads one of a few words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if slices.Contains(words, T(s)) {
			return T(s), nil
		}
		return "", fmt.Errorf("%q: expected one of %s", s, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(words)), ", "), "[]"))
	}
}
