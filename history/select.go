package history

import "strings"

// Select returns the series asked for, each once: a name that ends with a point stands for all that begin
// with it, and nothing for all.
func Select(asked, all []string) []string {
	if len(asked) == 0 {
		return all
	}
	var names []string
	seen := make(map[string]bool)
	for _, a := range asked {
		if seen[a] {
			continue
		}
		seen[a] = true
		if !strings.HasSuffix(a, ".") {
			names = append(names, a)
			continue
		}
		for _, name := range all {
			if !seen[name] && strings.HasPrefix(name, a) {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}
