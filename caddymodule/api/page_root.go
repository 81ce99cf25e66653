package api

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/pages"
)

// rootPage leads to the account or, without a session, to sign-in.
func rootPage(ctx context.Context, c *call, _ none) (answerer, error) {
	_, err := c.auth.BrowserSession(ctx, c.r.Header["Cookie"])
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return redirect{"/login"}, nil
	case err != nil:
		return nil, err
	}
	return redirect{defaultTarget}, nil
}

// icon is asked for by browsers whatever the page says.
func icon(context.Context, *call, none) (document, error) {
	return document{"image/svg+xml", "public, max-age=86400", pages.Icon()}, nil
}
