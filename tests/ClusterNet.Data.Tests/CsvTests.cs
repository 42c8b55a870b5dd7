using System.Globalization;
using System.IO.Compression;
using System.Text;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Tests;

/// <summary>Delimited text becomes typed columns, or a fault that says file, line, column, value and remedy.</summary>
public sealed class CsvTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string File(string text) => _folder.Write("rows.csv", text);

    private static float[] Features(DataSpec spec) => DataPipeline.Load(spec, 1).Training.Features.ToArray();

    [Fact]
    public void Quotes_spaces_byte_order_mark_and_line_ends_are_no_part_of_a_cell()
    {
        var path = _folder.Write("rows.csv", [.. Encoding.UTF8.Preamble, .. "a, b ,target\r\n 1 ,\"2\",\"yes, \"\"so\"\"\"\r\n\r\n3,4e0,no\r\n"u8]);
        var data = DataPipeline.Load(Specs.Csv(path), 1);
        Assert.Equal([1, 2, 3, 4], data.Training.Features.ToArray());
        Assert.Equal(["no", "yes, \"so\""], data.Preparation.Signature.Classes);
        Assert.Equal(["a", "b"], data.Preparation.Signature.InputNames);
    }

    [Fact]
    public void Delimiter_quote_header_and_missing_marks_are_the_job_s()
    {
        var path = File("1;'2';-9;x\n3;4;5;y\n");
        var spec = Specs.Csv(path) with
        {
            Csv = new CsvSpec(';', Header: false, '\'', ["-9"]),
            Target = "c3",
            Preparation = [Specs.Step(PreparationKind.Impute) with { Strategy = ImputeStrategy.Constant, Value = "0.5" }],
        };
        Assert.Equal([1, 2, 0.5f, 3, 4, 5], Features(spec));
    }

    [Theory]
    [InlineData(1024, null)]
    [InlineData(1025, "column 'target' has more than 1024 different classes; is this a regression (data.task)?")]
    public void There_are_no_more_classes_than_metrics_tell_apart(int classes, string? message)
    {
        var spec = Specs.Csv(File("a,target\n" + string.Concat(Enumerable.Range(0, classes).Select(row => $"{row},c{row}\n"))));
        if (message is null)
            Assert.Equal(classes, DataPipeline.Load(spec, 1).Preparation.Signature.Classes.Count);
        else
            Assert.Equal(message, Specs.SingleFault(spec).Message);
    }

    [Fact]
    public void A_compressed_file_is_read_as_it_is()
    {
        using var bytes = new MemoryStream();
        using (var zip = new GZipStream(bytes, CompressionLevel.Fastest))
            zip.Write("a,target\n1,0\n2,1\n"u8);
        Assert.Equal([1, 2], Features(Specs.Csv(_folder.Write("rows.csv.gz", bytes.ToArray()))));
    }

    [Fact]
    public void Features_keep_the_order_of_the_job_and_leave_out_what_it_excludes()
    {
        var path = File("id,a,b,target\n7,1,2,0\n8,3,4,1\n");
        Assert.Equal([2, 1, 4, 3], Features(Specs.Csv(path) with { Features = ["b", "a"] }));
        Assert.Equal([1, 2, 3, 4], Features(Specs.Csv(path) with { Exclude = ["id"] }));
    }

    [Fact]
    public void Classes_sort_as_numbers_where_they_are_numbers()
    {
        var classes = DataPipeline.Load(Specs.Csv(File("a,target\n1,10\n2,9.0\n3,-1\n4,9\n")), 1).Preparation.Signature.Classes;
        Assert.Equal(["-1", "9", "10"], classes);
    }

    [Fact]
    public void A_regression_learns_numbers()
    {
        var data = DataPipeline.Load(Specs.Regression(File("a,target\n1,0.25\n2,-3\n")), 1);
        Assert.Equal([0.25f, -3], data.Training.Values.ToArray());
        Assert.Empty(data.Training.Labels.ToArray());
        Assert.Empty(data.Preparation.Signature.Classes);
    }

    [Theory]
    [InlineData("a,target\n1,0\nabc,1\n", ":3", "column 'a': 'abc' is not a finite number", "data.categorical")]
    [InlineData("a,target\n1,0\n1e99,1\n", ":3", "column 'a': '1e99' is not a finite number", "data.exclude")]
    [InlineData("a,target\n1,0\n\n\n,1\n", ":5", "column 'a': no value is here", "impute")]
    [InlineData("a,target\n1,0\n2,1,3\n", ":3", "3 cells where 2 columns are", "data.csv.delimiter")]
    [InlineData("a,target\n1,0\n2\n", ":3", "1 cells where 2 columns are", "data.csv.delimiter")]
    [InlineData("a,target\n1,0\n2,?\n", ":3", "column 'target': '?' means no value", "take the row out")]
    [InlineData("a,a,target\n1,2,0\n", ":1", "column 'a' stands 2 times", "data.csv.header")]
    [InlineData("a,,target\n1,2,0\n", ":1", "column 2 has no name", "data.csv.header")]
    [InlineData("a,target\n1,0\n\"2,1\n3,0\n", ":3", "", "data.csv.quote")]
    [InlineData("a,target\n", "", "no rows below the header", "")]
    [InlineData("", "", "the file is empty", "")]
    public void A_fault_says_where_what_and_what_to_do(string text, string place, string what, string remedy)
    {
        var path = File(text);
        var fault = Specs.SingleFault(Specs.Csv(path));
        Assert.Equal(path + place, fault.Place);
        Assert.Contains(what, fault.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_unknown_columns_are_reported_at_once_with_those_there_are()
    {
        var spec = Specs.Csv(File("age,sex,target\n1,2,0\n")) with { Target = "taget", Features = ["age", "sx"], Exclude = ["id"], Categorical = ["site"] };
        var faults = Assert.Throws<InputException>(() => DataPipeline.Load(spec, 1)).Faults;
        Assert.Equal(["data.target", "data.features", "data.exclude", "data.categorical"], faults.Select(fault => fault.Place));
        Assert.Equal(["taget", "sx", "id", "site"], faults.Select(fault => fault.Found));
        Assert.All(faults, fault => Assert.Contains("target", fault.Candidates));
    }

    [Theory]
    [InlineData(';', "';'")]
    [InlineData('\t', "a tab")]
    [InlineData('|', "'|'")]
    public void A_header_that_another_character_divides_is_recognised(char delimiter, string named)
    {
        var fault = Specs.SingleFault(Specs.Csv(File($"age{delimiter}sex{delimiter}target\n1{delimiter}2{delimiter}0\n")));
        Assert.EndsWith($"; is {named} the delimiter (data.csv.delimiter)?", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_column_of_words_is_told_in_a_few_lines_and_hides_no_other_fault()
    {
        var path = File("sex,age,target\n" + string.Concat(Enumerable.Range(0, 50).Select(row => $"f,{(row == 40 ? "forty" : "40")},{row % 2}\n")));
        var faults = Assert.Throws<InputException>(() => DataPipeline.Load(Specs.Csv(path), 1)).Faults;
        Assert.Equal([$"{path}:2", $"{path}:3", $"{path}:4", $"{path}:42", path], faults.Select(fault => fault.Place));
        Assert.StartsWith("column 'age': 'forty'", faults[3].Message, StringComparison.Ordinal);
        Assert.Equal("column 'sex': 47 more of its cells are not finite numbers", faults[4].Message);
    }

    [Fact]
    public void The_target_is_no_feature()
    {
        Assert.Contains("is the target", Specs.SingleFault(Specs.Csv(File("a,target\n1,0\n2,1\n")) with { Features = ["a", "target"] }).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_faults_stop_at_twenty()
    {
        var text = "a,target\n" + string.Concat(Enumerable.Repeat("1,1,1\n", 1000));
        Assert.Equal(21, Assert.Throws<InputException>(() => DataPipeline.Load(Specs.Csv(File(text)), 1)).Faults.Count);
    }

    [Fact]
    public void A_missing_file_suggests_its_neighbours()
    {
        File("a,target\n1,0\n");
        var fault = Specs.SingleFault(Specs.Csv(_folder["row.csv"]));
        Assert.Equal("row.csv", fault.Found);
        Assert.Equal(["rows.csv"], fault.Candidates);
        Assert.Contains("data.source", Specs.SingleFault(Specs.Csv("rows.csv")).Place, StringComparison.Ordinal);
        Assert.Contains("a folder stands", Specs.SingleFault(Specs.Csv(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_oversized_cell_is_refused()
    {
        var path = File($"a,target\n{new string('1', 5000)},0\n");
        Assert.Contains("a cell of 5000 bytes", Specs.SingleFault(Specs.Csv(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Text_that_is_not_utf8_is_refused()
    {
        var path = _folder.Write("rows.csv", Encoding.Latin1.GetBytes("a,target\n1,männlich\n"));
        Assert.Contains("UTF-8", Specs.SingleFault(Specs.Csv(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_column_of_identifiers_is_no_category_and_a_measurement_no_class()
    {
        var text = new StringBuilder("a,b,target\n");
        for (var i = 0; i < 10_050; i++)
            text.Append(CultureInfo.InvariantCulture, $"id{i},1,{i * 0.5}\n");
        var path = File(text.ToString());
        Assert.Contains("data.task", Specs.SingleFault(Specs.Csv(path) with { Exclude = ["a"] }).Message, StringComparison.Ordinal);
        Assert.Contains("identifier", Specs.SingleFault(Specs.Regression(path) with { Categorical = ["a"] }).Message, StringComparison.Ordinal);
    }
}
