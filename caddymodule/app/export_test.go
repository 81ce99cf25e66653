package app

import "time"

// SetReloadTimeout sets how long a reload waits for another database.
func SetReloadTimeout(d time.Duration) (former time.Duration) {
	former, reloadTimeout = reloadTimeout, d
	return former
}
