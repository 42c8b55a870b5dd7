using System.Globalization;

namespace ClusterNet.Data.Tests;

/// <summary>A CSV file costs the memory of its numbers. Alone in the process, since others' memory would count.</summary>
[Collection(nameof(CsvMemoryTests))]
[CollectionDefinition(nameof(CsvMemoryTests), DisableParallelization = true)]
public sealed class CsvMemoryTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_large_file_takes_the_memory_of_its_numbers_not_of_its_text()
    {
        const int Rows = 300_000;
        const int Columns = 20;
        var path = _folder["large.csv"];
        using (var writer = new StreamWriter(path))
        {
            writer.WriteLine(string.Join(',', Enumerable.Range(0, Columns).Select(column => $"x{column}")) + ",site,target");
            for (var row = 0; row < Rows; row++)
            {
                for (var column = 0; column < Columns; column++)
                    writer.Write(string.Create(CultureInfo.InvariantCulture, $"{((row * 31) + (column * 7)) % 1000003 * 1e-3:F4},"));
                writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"hospital {row % 5},{row % 2}"));
            }
        }
        Assert.True(new FileInfo(path).Length > 50e6);

        var spec = Specs.Csv(path) with { Categorical = ["site"] };
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
        using var rows = Sources.CsvRows.Open(path, spec.Csv);
        var frame = Sources.CsvSource.Read(rows, spec);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - allocatedBefore;
        var kept = GC.GetTotalMemory(forceFullCollection: true) - before;

        const long Cells = (long)Rows * (Columns + 3); // with site, target and line numbers, 4 bytes each
        Assert.Equal(Rows, frame.Count);
        Assert.InRange(kept, 0, Cells * 5);
        // growing and finishing the columns costs them twice, strings would cost 40 bytes a cell
        Assert.InRange(allocated, 0, Cells * 10);
        GC.KeepAlive(frame);
    }
}
