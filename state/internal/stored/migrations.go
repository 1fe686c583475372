package stored

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Migration brings a schema from Version-1 to Version.
type Migration struct {
	Version int
	Name    string // of its file
	SQL     string
}

// Migrations reads the files migrations/NNNN_name.sql, which are numbered from 1 without
// a gap, in order.
func Migrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Migration
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: expected number %d", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{Version: i + 1, Name: strings.TrimPrefix(name, "migrations/"), SQL: string(text)})
	}
	return all, nil
}
