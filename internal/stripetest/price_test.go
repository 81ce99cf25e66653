package stripetest_test

import (
	"testing"

	"github.com/stripe/stripe-go/v85"
)

func TestPricesAndProducts(t *testing.T) {
	t.Parallel()
	a := open(t)
	product := must(a.client.V1Products.Create(a.ctx, &stripe.ProductCreateParams{ID: stripe.String("prod_plus"), Name: stripe.String("Plus")}))(t)
	_, err := a.client.V1Products.Create(a.ctx, &stripe.ProductCreateParams{ID: stripe.String("prod_plus"), Name: stripe.String("Plus")})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "resource_already_exists", "id")
	made := must(a.client.V1Prices.Create(a.ctx, &stripe.PriceCreateParams{
		Currency: stripe.String("eur"), UnitAmount: stripe.Int64(499), Product: stripe.String(product.ID), LookupKey: stripe.String("plus"),
		Recurring: &stripe.PriceCreateRecurringParams{Interval: stripe.String("month")},
	}))(t)
	params := &stripe.PriceRetrieveParams{}
	params.AddExpand("product")
	got := must(a.client.V1Prices.Retrieve(a.ctx, made.ID, params))(t)
	same(t, "price", []any{int64(499), 499.0, stripe.PriceRecurringIntervalMonth, int64(1), "Plus", stripe.PriceTypeRecurring},
		[]any{got.UnitAmount, got.UnitAmountDecimal, got.Recurring.Interval, got.Recurring.IntervalCount, got.Product.Name, got.Type})
	must(a.client.V1Prices.Create(a.ctx, &stripe.PriceCreateParams{
		Currency: stripe.String("eur"), UnitAmount: stripe.Int64(100), ProductData: &stripe.PriceCreateProductDataParams{Name: stripe.String("Once")},
	}))(t)
	must(a.client.V1Prices.Update(a.ctx, made.ID, &stripe.PriceUpdateParams{Active: stripe.Bool(false)}))(t)
	count := func(params *stripe.PriceListParams) int {
		return len(all(t, a.client.V1Prices.List(a.ctx, params).All(a.ctx)))
	}
	same(t, "listed", []int{2, 1, 1, 1, 0}, []int{
		count(&stripe.PriceListParams{}),
		count(&stripe.PriceListParams{Active: stripe.Bool(true)}),
		count(&stripe.PriceListParams{Product: stripe.String("prod_plus")}),
		count(&stripe.PriceListParams{LookupKeys: stripe.StringSlice([]string{"plus", "x"})}),
		count(&stripe.PriceListParams{LookupKeys: stripe.StringSlice([]string{"x"})}),
	})
	same(t, "products", 2, len(all(t, a.client.V1Products.List(a.ctx, &stripe.ProductListParams{}).All(a.ctx))))
	renamed := must(a.client.V1Products.Update(a.ctx, "prod_plus", &stripe.ProductUpdateParams{Name: stripe.String("Plus+")}))(t)
	same(t, "renamed", "Plus+", renamed.Name)
}

func TestPortal(t *testing.T) {
	t.Parallel()
	a := open(t)
	got := must(a.client.V1BillingPortalSessions.Create(a.ctx, &stripe.BillingPortalSessionCreateParams{
		Customer: stripe.String(a.customer), ReturnURL: stripe.String("https://mana.how/"),
	}))(t)
	same(t, "session", []any{a.customer, "https://mana.how/", true}, []any{got.Customer, got.ReturnURL, got.URL != ""})
	_, err := a.client.V1BillingPortalSessions.Create(a.ctx, &stripe.BillingPortalSessionCreateParams{Customer: stripe.String("cus_x")})
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "customer")
}
