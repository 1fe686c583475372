package stored

// PageRows is how many rows a stream reads at a time.
const PageRows = 1024

// Pages streams what next reads page by page, PageRows at a time, so that neither a
// connection nor a version of the rows is held while the caller works. An error of f ends
// it and is returned as it is. next continues after what it read last.
func Pages[T any](next func() ([]T, error), f func(T) error) error {
	for {
		page, err := next()
		if err != nil {
			return err
		}
		for _, v := range page {
			if err := f(v); err != nil {
				return err
			}
		}
		if len(page) < PageRows {
			return nil
		}
	}
}
