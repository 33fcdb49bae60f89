"""The version of the keys: what is never read back cannot be compared, and a number says nothing of the keys."""

from components.keys_file import version


class TestVersion:
    def test_it_is_another_for_another_text(self):
        assert len({version(str(index)) for index in range(1000)}) == 1000

    def test_it_is_a_number_that_a_double_holds(self):
        for index in range(50):
            number = version(str(index))
            assert 0 <= number < 2**53
            assert int(float(number)) == number
