"""The keys file of the server: the same whatever the order, and with a version that says nothing of the keys."""

from components.keys_file import keys_file, version

KEY = "k" * 40


class TestVersion:
    def test_it_moves_with_a_key_a_name_and_a_client(self):
        texts = [{"a": KEY}, {"a": KEY[:-1] + "x"}, {"b": KEY}, {"a": KEY, "b": KEY}]
        assert len({version(keys_file(one)) for one in texts}) == len(texts)

    def test_it_stays_when_only_the_order_changes(self):
        assert keys_file({"a": "1", "b": "2"}) == keys_file({"b": "2", "a": "1"})

    def test_it_is_a_number_that_a_double_holds(self):
        for index in range(50):
            number = version(str(index))
            assert 0 <= number < 2**53
            assert int(float(number)) == number
