package checks

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// linkedTags are those of every build of FaDO.
const linkedTags = "nobadger,nomysql,nopgx"

// permissive are the licences that what is linked may have. MPL-2.0 asks for its own files
// only, and is what some of Caddy's own requirements have.
var permissive = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "CC0-1.0", "public domain"}

// phrases tell licences by what only they say, in this order: a later one is said by an
// earlier licence, too.
var phrases = []struct{ licence, says string }{
	{"AGPL", `gnu affero general public license`},
	{"LGPL", `gnu (lesser|library) general public license`},
	{"GPL", `gnu general public license`},
	{"SSPL", `server side public license`},
	{"BUSL", `business source license`},
	{"Elastic", `elastic license`},
	{"MPL-2.0", `mozilla public license,? version 2\.0`},
	{"Apache-2.0", `apache license,? version 2\.0`},
	{"CC0-1.0", `cc0 1\.0 universal`},
	{"BSD-3-Clause", `redistributions in binary form must reproduce .* neither the name of .* may be used to endorse`},
	{"BSD-3-Clause", `redistributions in binary form must reproduce .* names? of .* may not be used to endorse`},
	{"BSD-2-Clause", `redistributions in binary form must reproduce`},
	{"public domain", `dedicated to the public domain by the authors`},
	{"ISC", `permission to use, copy, modify, (and/or|and) distribute this software for any purpose with or without fee`},
	{"MIT", `permission is hereby granted, free of charge, to any person obtaining a copy`},
}

// secondary is what the Mozilla Public License and others say about the GNU licences
// without being one: which licences their code may be combined with.
var secondary = regexp.MustCompile(`either the gnu general public license, version 2\.0.*?any later versions of those licenses`)

// classify names the licence of a text, "" for one it does not know.
func classify(text string) string {
	plain := strings.ToLower(strings.Join(strings.Fields(strings.NewReplacer("(the \"license\")", "", "*", " ", "#", " ", "//", " ").Replace(text)), " "))
	plain = secondary.ReplaceAllString(plain, "")
	for _, p := range phrases {
		if regexp.MustCompile(p.says).MatchString(plain) {
			return p.licence
		}
	}
	return ""
}

// linkedModule is one of those that packages of the binary are from.
type linkedModule struct {
	Path, Version, Dir string
	Main               bool
	Replace            *linkedModule
}

// linked lists the modules of what is linked into cmd/caddy.
func linked(t *testing.T) []linkedModule {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=Module", "-tags", linkedTags, "./cmd/caddy")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := make(map[string]bool)
	var all []linkedModule
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct{ Module *linkedModule }
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if m := pkg.Module; m != nil && !seen[m.Path] {
			seen[m.Path] = true
			all = append(all, *m)
		}
	}
}

// notes are files that are named like licences and are none of code that is linked.
var notes = []string{"LICENSE-LOGO"}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// licencesOf names the licences in a module's root.
func licencesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || slices.Contains(notes, e.Name()) || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, classify(string(text)))
	}
	return found
}

// TestLicencesOfWhatIsLinked: every module that a build of FaDO links code of has a licence
// that lets people pass the binary on under Apache-2.0, and says so in a file. A module whose
// file is not recognised fails: look at it, and teach classify its phrase.
func TestLicencesOfWhatIsLinked(t *testing.T) {
	all := linked(t)
	if len(all) < 100 {
		t.Fatalf("%d modules: Caddy alone has more", len(all))
	}
	tally := make(map[string]int)
	for _, m := range all {
		found := licencesOf(t, m.Dir)
		if len(found) == 0 {
			t.Errorf("%s@%s has no licence file", m.Path, m.Version)
		}
		for _, l := range found {
			tally[l]++
			if !slices.Contains(permissive, l) {
				t.Errorf("%s@%s: licence %q, expected one of %v", m.Path, m.Version, l, permissive)
			}
		}
	}
	t.Logf("%d modules: %v", len(all), tally)
}

// TestLicencesAreTold: the licences that must not be linked are recognised, whatever else the
// text says.
func TestLicencesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007": "AGPL",
		"GNU GENERAL PUBLIC LICENSE\nVersion 3":                          "GPL",
		"  GNU LESSER GENERAL\n  PUBLIC LICENSE":                         "LGPL",
		"Server Side Public License\nVERSION 1":                          "SSPL",
		"Business Source License 1.1":                                    "BUSL",
		"Apache License\n  Version 2.0, January 2004":                    "Apache-2.0",
		"Mozilla Public License Version 2.0\n\"Secondary License\" means either the GNU General Public License, Version 2.0, the GNU Lesser General Public License, or any later versions of those licenses.": "MPL-2.0",
		"The MIT License\nPermission is hereby granted, free of charge, to any person obtaining a copy":                                                                                                       "MIT",
		"All rights reserved.": "",
	} {
		if got := classify(text); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}
