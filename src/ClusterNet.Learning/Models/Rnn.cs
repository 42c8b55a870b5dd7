using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// The <c>rnn</c>, over [time, features]. Settings: <c>cell</c> (rnn, gru or lstm; gru), <c>hidden</c> (64), <c>layers</c> (1), <c>bidirectional</c>, <c>dropout</c> (between layers and in front of the
/// output), <c>pooling</c> (last: the state behind the last time step, of the backward direction behind the first; or mean over time).
/// </summary>
internal static class Rnn
{
    private static readonly Dictionary<string, Cell> _cells = new() { ["rnn"] = Cell.Rnn, ["gru"] = Cell.Gru, ["lstm"] = Cell.Lstm };
    private static readonly Dictionary<string, bool> _poolings = new() { ["last"] = false, ["mean"] = true };

    private enum Cell
    {
        Rnn = 1,
        Gru = 3,
        Lstm = 4,
    }

    public static nn.Module<Tensor, Tensor> Create(ModelContext context)
    {
        var settings = context.Settings;
        var cell = settings.Choice("cell", Cell.Gru, _cells);
        var hidden = settings.Integer("hidden", 64, least: 1, most: 1_000_000);
        var layers = settings.Integer("layers", 1, least: 1, most: 100);
        var bidirectional = settings.Truth("bidirectional", false);
        var dropout = settings.ReadDropout();
        var mean = settings.Choice("pooling", false, _poolings);
        var directions = bidirectional ? 2 : 1;
        if (context.InputShape.Count != 2)
        {
            settings.Fault("kind", $"an rnn takes samples of shape [time, features], not [{string.Join(", ", context.InputShape)}]; give data.shape, or use an mlp or cnn");
            context.Check();
        }
        // gates times (input and state) of each layer and direction: the enumeration counts gates
        context.Bound("hidden", directions * (double)(int)cell * hidden * (context.InputShape[1] + (double)hidden + (layers - 1.0) * (directions + 1) * hidden));
        context.Check();
        context.AvoidsOneDnn = cell != Cell.Lstm;

        var modules = new List<(string, nn.Module<Tensor, Tensor>)>();
        var width = context.InputShape[1];
        for (var i = 1; i <= layers; i++)
        {
            modules.Add(($"layer{i}", new RecurrentLayer(cell, width, hidden, bidirectional)));
            width = hidden * directions;
            if (dropout > 0 && i < layers)
                modules.Add(($"dropout{i}", context.Dropout(dropout)));
        }
        modules.Add(("pooling", new TimePooling(mean, bidirectional ? hidden : width)));
        if (dropout > 0)
            modules.Add(($"dropout{layers}", context.Dropout(dropout)));
        modules.Add(("output", nn.Linear(width, context.Outputs)));
        return nn.Sequential(modules);
    }

    /// <summary>One recurrent layer: [batch, time, width] to [batch, time, directions x hidden], the states at all times.</summary>
    private sealed class RecurrentLayer : nn.Module<Tensor, Tensor>
    {
        private readonly Func<Tensor, Tensor> _states;

        public RecurrentLayer(Cell cell, int width, int hidden, bool bidirectional)
            : base(cell.ToString().ToUpperInvariant())
        {
            // single layers: torch's own dropout between layers would draw from the process's generator
            switch (cell)
            {
                case Cell.Rnn:
                    var rnn = nn.RNN(width, hidden, batchFirst: true, bidirectional: bidirectional);
                    register_module("cell", rnn);
                    _states = input => First(rnn.call(input));
                    break;
                case Cell.Gru:
                    var gru = nn.GRU(width, hidden, batchFirst: true, bidirectional: bidirectional);
                    register_module("cell", gru);
                    _states = input => First(gru.call(input));
                    break;
                default:
                    var lstm = nn.LSTM(width, hidden, batchFirst: true, bidirectional: bidirectional);
                    register_module("cell", lstm);
                    _states = input =>
                    {
                        var (states, last, memory) = lstm.call(input);
                        last.Dispose();
                        memory.Dispose();
                        return states;
                    };
                    break;
            }
        }

        public override Tensor forward(Tensor input) => _states(input);

        private static Tensor First((Tensor States, Tensor Last) results)
        {
            results.Last.Dispose();
            return results.States;
        }
    }

    /// <summary>[batch, time, width] to [batch, width].</summary>
    private sealed class TimePooling(bool mean, int forward) : nn.Module<Tensor, Tensor>(nameof(TimePooling))
    {
        private readonly int _forward = forward;

        public override Tensor forward(Tensor states)
        {
            if (mean)
                return states.mean([1]);
            var width = states.shape[2];
            using var last = states.select(1, states.shape[1] - 1);
            if (width == _forward)
                return last.alias();
            using var first = states.select(1, 0);
            using var there = last.narrow(1, 0, _forward);
            using var back = first.narrow(1, _forward, width - _forward);
            return cat([there, back], 1);
        }
    }
}
