package config_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"mana.how/edge/caddymodule/config"
)

func TestParseRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, says, kind string }{
		{"redis://:hidden@cache:6380/2", "cache:6380", "server"},
		{"rediss://cache", "cache:6379", "server"},
		{"redis://user:hidden@a:26379/1?master_name=mana&addr=b:26379&password=hidden", "mana of the Sentinels a:26379, b:26379", "server"},
		{"redis://:hidden@a:7000?addr=b:7000&addr=c:7000", "the Cluster a:7000, b:7000, c:7000", "cluster"},
		{"redis://:hidden@a:7000/1?addr=b:7000", "", "a Cluster has no database but 0"},
		{"redis://:hidden@a:7000?addr=b", "", "not readable"},
		{"redis://:hidden@a:7000/x?master_name=mana", "", "not readable"},
		{"http://:hidden@a", "", "not readable"},
		{"redis://:hidden@a?addr=b:1&colour=red", "", "not readable"},
		{"redis://:hid den@a\x7f", "", "not readable"},
	} {
		at, err := config.ParseRedis(tt.url)
		if tt.says == "" {
			if err == nil || !strings.Contains(err.Error(), tt.kind) || strings.Contains(err.Error(), "hid") {
				t.Errorf("%q: %v, want %s", tt.url, err, tt.kind)
			}
			continue
		}
		if err != nil || at.String() != tt.says {
			t.Errorf("%s: %s, %v", tt.url, at, err)
			continue
		}
		client := at.Client(0)
		if _, cluster := client.(*redis.ClusterClient); cluster != (tt.kind == "cluster") {
			t.Errorf("%s: %T", tt.url, client)
		}
		client.Close()
	}
}
