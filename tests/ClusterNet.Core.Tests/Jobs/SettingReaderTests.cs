using System.Globalization;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using CsCheck;

namespace ClusterNet.Core.Tests.Jobs;

/// <summary>The promise that settings are read as typed values or named as faults, all of them, each with its path; never half of both.</summary>
public sealed class SettingReaderTests
{
    private readonly List<Fault> _faults = [];

    [Fact]
    public void Numbers_of_any_size_come_back_as_written() => Gen.Select(Gen.Long, Gen.Double.Where(double.IsFinite)).Sample((whole, number) =>
    {
        var faults = new List<Fault>();
        var reader = new SettingReader(Settings(
            ("whole", whole.ToString(CultureInfo.InvariantCulture)), ("number", number.ToString("R", CultureInfo.InvariantCulture))), "", faults);
        Assert.Equal(whole, reader.Integer("whole"));
        Assert.Equal(number, reader.Number("number"));
        Assert.Empty(faults);
    });

    [Fact]
    public void What_is_not_given_is_the_fallback_and_no_fault()
    {
        var reader = Reader();
        Assert.Null(reader.Text("a"));
        Assert.Equal("x", reader.Text("a", "x"));
        Assert.Null(reader.Integer("a"));
        Assert.Equal(3, reader.Integer("a", 3, 0));
        Assert.Equal(0.5, reader.Number("a", 0.5, 0, 1));
        Assert.True(reader.Truth("a", true));
        Assert.Null(reader.Truth("a"));
        Assert.Empty(reader.Texts("a"));
        Assert.Empty(reader.Integers("a"));
        Assert.False(reader.Section("a").Has("b"));
        reader.Finish();
        Assert.Empty(_faults);
    }

    [Theory]
    [InlineData("1.5", "model.n: '1.5' is not a whole number")]
    [InlineData("many", "model.n: 'many' is not a whole number")]
    [InlineData("", "model.n: '' is not a whole number")]
    [InlineData("0", "model.n: 0 is out of range: 1 to 10")]
    [InlineData("11", "model.n: 11 is out of range: 1 to 10")]
    public void A_whole_number_out_of_place_is_a_fault(string text, string expected)
    {
        Assert.Equal(5, Reader(("n", text)).Integer("n", 5, 1, 10));
        Assert.Equal(expected, Assert.Single(_faults).ToString());
    }

    [Theory]
    [InlineData("1,5", "model.x: '1,5' is not a finite number")]
    [InlineData("NaN", "model.x: 'NaN' is not a finite number")]
    [InlineData("1e999", "model.x: '1e999' is not a finite number")]
    [InlineData("-0.1", "model.x: -0.1 is out of range: at least 0")]
    public void A_number_out_of_place_is_a_fault(string text, string expected)
    {
        Assert.Equal(0.25, Reader(("x", text)).Number("x", 0.25, least: 0));
        Assert.Equal(expected, Assert.Single(_faults).ToString());
    }

    [Fact]
    public void An_unknown_word_is_a_fault_with_the_words_there_are()
    {
        var choices = new Dictionary<string, OptimizerKind> { ["adam"] = OptimizerKind.Adam, ["sgd"] = OptimizerKind.Sgd };
        Assert.Equal(OptimizerKind.Sgd, Reader(("kind", "adm")).Choice("kind", OptimizerKind.Sgd, choices));
        var fault = Assert.Single(_faults);
        Assert.Equal(("adm", "model.kind"), (fault.Found, fault.Place));
        Assert.Equal(["adam", "sgd"], fault.Candidates);
        Assert.Equal(OptimizerKind.Adam, Reader(("kind", "adam")).Choice<OptimizerKind>("kind", choices));
    }

    [Fact]
    public void A_list_may_be_one_value_and_its_bad_items_are_all_named()
    {
        Assert.Equal([64], Reader(("hidden", "64")).Integers("hidden", 1));
        var list = new SettingValue.List([new SettingValue.Scalar("64"), new SettingValue.Scalar("x"), new SettingValue.Scalar("0")]);
        new SettingReader(new Dictionary<string, SettingValue> { ["hidden"] = list }, "model", _faults).Integers("hidden", 1);
        Assert.Equal(["model.hidden: 'x' is not a whole number", "model.hidden: 0 is out of range: at least 1"], _faults.Select(fault => fault.ToString()));
    }

    [Fact]
    public void A_value_of_the_wrong_shape_is_a_fault()
    {
        var map = new SettingValue.Map(Settings(("a", "1")));
        var reader = new SettingReader(new Dictionary<string, SettingValue> { ["map"] = map, ["text"] = new SettingValue.Scalar("t") }, "", _faults);
        Assert.Null(reader.Text("map"));
        Assert.Empty(reader.Texts("map"));
        reader.Section("text");
        Assert.Null(reader.Truth("text"));
        Assert.Equal(["map", "map", "text", "text"], _faults.Select(fault => fault.Place));
        Assert.Equal(1, reader.Section("map").Integer("a"));
    }

    [Fact]
    public void Names_that_nobody_asked_for_are_faults_with_those_that_are_known()
    {
        var reader = Reader(("hiden", "3"), ("kind", "mlp"));
        reader.Allow("kind");
        reader.Integers("hidden");
        reader.Finish();
        var fault = Assert.Single(_faults);
        Assert.Equal(("model.hiden", "hiden"), (fault.Place, fault.Found));
        Assert.Equal(["hidden", "kind"], fault.Candidates);
    }

    private static Dictionary<string, SettingValue> Settings(params (string Name, string Text)[] settings) =>
        settings.ToDictionary(setting => setting.Name, setting => (SettingValue)new SettingValue.Scalar(setting.Text));

    private SettingReader Reader(params (string Name, string Text)[] settings) => new(Settings(settings), "model", _faults);
}
