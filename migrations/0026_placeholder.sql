-- Nothing: the number is taken by the organisations.
SELECT 1;
