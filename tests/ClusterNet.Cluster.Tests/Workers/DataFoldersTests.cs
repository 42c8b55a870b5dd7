using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Tests.Workers;

/// <summary>A job reads what lies in the folders of its node's settings, wherever names and links seem to lead.</summary>
public sealed class DataFoldersTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-folders-");

    public DataFoldersTests()
    {
        foreach (var name in new[] { "data/ward", "data-secret", "elsewhere" })
            _folder.CreateSubdirectory(name);
        foreach (var name in new[] { "data/a.csv", "data/ward/b.csv", "data-secret/c.csv", "elsewhere/d.csv" })
            File.WriteAllText(At(name), "x");
        File.CreateSymbolicLink(At("data/to-ward.csv"), "ward/b.csv");
        File.CreateSymbolicLink(At("data/to-secret.csv"), "../data-secret/c.csv");
        Directory.CreateSymbolicLink(At("data/to-elsewhere"), At("elsewhere"));
        Directory.CreateSymbolicLink(At("elsewhere/to-data"), At("data"));
        File.CreateSymbolicLink(At("data/circle"), "circle-too");
        File.CreateSymbolicLink(At("data/circle-too"), "circle");
    }

    public void Dispose() => _folder.Delete(true);

    [Theory]
    [InlineData("data/a.csv", true)]
    [InlineData("data", true)]
    [InlineData("data/ward/b.csv", true)]
    [InlineData("data/ward/../a.csv", true)]
    [InlineData("data/to-ward.csv", true)]
    [InlineData("data/not-there-yet.csv", true)]
    [InlineData("elsewhere/to-data/a.csv", true)]
    [InlineData("elsewhere/d.csv", false)]
    [InlineData("data-secret/c.csv", false)]
    [InlineData("data/../elsewhere/d.csv", false)]
    [InlineData("data/to-secret.csv", false)]
    [InlineData("data/to-elsewhere/d.csv", false)]
    [InlineData("data/to-elsewhere/not-there.csv", false)]
    [InlineData("data/circle", false)]
    [InlineData("", false)]
    public void Links_and_names_lead_where_they_really_lead(string source, bool isAllowed)
    {
        // the folder itself may be named by a link
        foreach (var name in new[] { "data", "elsewhere/to-data", "data/" })
        {
            var folders = new DataFolders([At("nowhere"), At(name)]);
            if (isAllowed)
                folders.Require(At(source));
            else
                Assert.Equal("data.source", Assert.Throws<InputException>(() => folders.Require(At(source))).Faults.Single().Place);
        }
    }

    [Fact]
    public void What_comes_with_ClusterNet_is_no_file_and_without_folders_there_is_no_bound()
    {
        new DataFolders([At("data")]).Require("builtin:wdbc");
        DataFolders.Any.Require(At("elsewhere/d.csv"));
        Assert.Throws<InputException>(() => new DataFolders([At("data")]).Require("a.csv"));
    }

    private string At(string path) => Path.Combine(_folder.FullName, path);
}
