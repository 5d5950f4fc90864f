using MetaStore.Figures;

int[] sizes = args.Contains("--large") ? [10_000, 1_000_000, 10_000_000] : [10_000, 1_000_000];
Console.WriteLine("name                                                  value unit              reference    ratio");
IEnumerable<Figure> figures = (args.FirstOrDefault(arg => !arg.StartsWith('-')) ?? "all") switch
{
    "read" => new ReadFigures().Run(sizes),
    "batch" => WriteFigures.Batch(),
    "write" => WriteFigures.Run(),
    _ => new ReadFigures().Run(sizes).Concat(WriteFigures.Batch()).Concat(WriteFigures.Run()),
};
foreach (Figure figure in figures)
{
    Console.WriteLine(figure);
}
