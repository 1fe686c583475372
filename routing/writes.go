package routing

// WritesAnywhere says whether a key's policy lets users write it at every copy.
func (s *Snapshot) WritesAnywhere(bucket, key string) bool {
	en := s.buckets.get(bucket)
	return en != nil && s.tables.writesAnywhere(en.policyOf(en.ruleOf(key)))
}

// Anywhere says whether users may have written a key at every copy: its policy says so, or
// it said so and what they wrote has not been brought together yet.
func (s *Snapshot) Anywhere(bucket, key string) bool {
	en := s.buckets.get(bucket)
	if en == nil {
		return false
	}
	rule := en.ruleOf(key)
	if s.tables.writesAnywhere(en.policyOf(rule)) {
		return true
	}
	for i := range en.copies() {
		if c := en.copyAt(i); c.rule() == rule && c.anywhere() {
			return true
		}
	}
	return false
}

// RulesAnywhere returns the prefixes of a bucket's rules whose policies say writes
// anywhere, sorted; none for most buckets.
func (s *Snapshot) RulesAnywhere(bucket string) []string {
	en := s.buckets.get(bucket)
	if en == nil {
		return nil
	}
	var prefixes []string
	for i := range 1 + len(en.rules()) {
		if s.tables.writesAnywhere(en.policyOf(i)) {
			prefixes = append(prefixes, en.prefixOf(i))
		}
	}
	return prefixes
}

// KeepsHistory says whether a key's policy wants the whole history of it at every copy.
func (s *Snapshot) KeepsHistory(bucket, key string) bool {
	en := s.buckets.get(bucket)
	if en == nil {
		return false
	}
	b := s.tables.book(en.policyOf(en.ruleOf(key)))
	return b != nil && b.history
}
