from .served import ask, cost
async def test_a(house, upstream):
    answer = await house.post(ask())
    print(answer)
    line = await house.entry()
    print(line)
    assert line.nanodollars == cost(upstream.seen[0].billed)
async def test_b(house, upstream):
    answer = await house.post(ask(stream=True))
    print(answer.events, answer.text, answer.headers)
    line = await house.entry()
    assert line.nanodollars == cost(upstream.seen[0].billed)

async def test_c(house, upstream): pass
async def test_d(house, upstream): pass
