package checks

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// archaic are words that plain technical English has others for.
var archaic = regexp.MustCompile(`(?i)\b(whoever|whosoever|somebody|anew|gone on with|whatsoever|thereof|hitherto|wherein|heretofore)\b`)

// TestPlainWords: comments, messages, tests and docs are read by people from everywhere.
func TestPlainWords(t *testing.T) {
	skip := []string{".git", ".tools", "dist", "node_modules", "bin", "test-results"}
	read := []string{".go", ".md", ".ts", ".tsx", ".css", ".yml", ".yaml"}
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains(read, filepath.Ext(path)) || d.Name() == "words_test.go":
			return nil
		}
		seen++
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			if word := archaic.FindString(lines.Text()); word != "" {
				t.Errorf("%s:%d says %q", path, n, word)
			}
		}
		return lines.Err()
	})
	if err != nil || seen < 500 {
		t.Fatalf("%d files read, %v", seen, err)
	}
}
